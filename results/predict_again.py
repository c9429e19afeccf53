"""Rows that were held against a GPU, predicted anew: `python -m results.predict_again` writes results/predictions.

Twice: with the stored tables and the hosts of captures, and with the board that was measured on that machine, host
included. Neither is a test of the model: it has learned from these rows, and the second from that machine.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from results.checked_predictions import FOLDER
from vlbench.api.predicting import predict
from vlbench.export.checked_prediction import HIT, PARTLY, held_rows, measured_cell
from vlbench.export.predicted import band_cell
from vlbench.predicting.captured import HeldCapture
from vlbench.predicting.checked import CheckedPrediction
from vlbench.predicting.predicted import Prediction
from vlbench.predicting.reading import prediction_in
from vlbench.record.base import fitting
from vlbench.record.files import write_whole
from vlbench.untrusted.files import Kind, read_json

PATH = FOLDER / "again-h200.json"
CHECKED = FOLDER / "checked-h200.json"
MEASURED = Path(__file__).parent / "gpu" / "board.json"
TRACE = MEASURED.with_name("held-trace.json")
"""Three forwards of `best`, with its `fused-gate-up` of then, held by `vlbench predict --capture`."""
STORED = Kind("write it anew with `python -m results.predict_again`", ours=True)


def main() -> None:
    """Predict the rows of the stored file on both boards."""
    held = prediction_in(CHECKED, read_json(CHECKED, STORED))
    assert isinstance(held, CheckedPrediction)
    (group,) = held.prediction.groups
    first, *others = group.rows
    names = [row.row for row in others]
    gpus = [first.gpu, str(MEASURED)]
    cudnn, dtype = held.prediction.cudnn, held.prediction.dtype
    found = predict(first.tower, variant=names, scenario=group.scenario, gpu=gpus, cudnn=cudnn, dtype=dtype)
    write_whole(PATH, found.record.model_dump_json(indent=1) + "\n")


def again_table(path: Path = PATH) -> str | None:
    """Each row as it was measured and as it is predicted now; None without any."""
    if not path.is_file():
        return None
    found, held = (prediction_in(each, read_json(each, STORED)) for each in (path, CHECKED))
    assert isinstance(found, Prediction)
    assert isinstance(held, CheckedPrediction)
    rows = {(row.row, row.gpu): row for group in found.groups for row in group.rows}
    table = ["| row | measured, ms | tables and hosts of others, ms | | this board and its host, ms | |"]
    table[0] += " measured speed-up | by others | by this board |"
    table.append("|---|--:|--:|---|--:|---|--:|--:|--:|")
    for then in held_rows(held):
        now = [replace(then, row=rows[then.row.row, gpu]) for gpu in found.boards]
        spans = [f"{band_cell('', each.row.span, 1e3).shown} | {_place(each.place)}" for each in now]
        ratios = [band_cell("", each.row.ratio, 1, 2).shown for each in now]
        speed_up = f"{then.speed_up:.2f}" if then.speed_up else "-"
        table.append(f"| {' | '.join([then.row.row, measured_cell(then).shown, *spans, speed_up, *ratios])} |")
    return "\n".join(table)


def _place(place: str) -> str:
    return {HIT: "hit", PARTLY: "hit in some", "": "-"}.get(place, f"miss, {place}")


def held_trace_table(path: Path = TRACE) -> str | None:
    """What a trace of that GPU showed of each operator and shape, the longest first, beside the stored tables."""
    if not path.is_file():
        return None
    found = fitting(HeldCapture, read_json(path, STORED), path, STORED.remedy)
    table = ["| operator | shapes | runs | captured, us | predicted, us | |", "|---|---|--:|--:|--:|---|"]
    for each in (each for each in found.kernels if each.predicted):
        us = f"{each.captured * 1e6:.1f} | {band_cell('', each.predicted, 1e6).shown}"
        table.append(f"| `{each.operation}` | {each.shapes} | {each.runs} | {us} | {each.verdict} |")
    return "\n".join(table)


if __name__ == "__main__":
    main()
