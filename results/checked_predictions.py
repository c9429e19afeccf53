"""Predictions that were held against GPUs: results/predictions/checked-*.json, made by `vlbench predict --check`."""

from __future__ import annotations

import textwrap
from pathlib import Path

from vlbench.export.checked_prediction import HIT, PARTLY, HeldRow, held_rows, in_one_line, measured_cell
from vlbench.export.predicted import band_cell
from vlbench.judging.words import change
from vlbench.predicting.checked import CheckedPrediction
from vlbench.predicting.reading import prediction_in
from vlbench.untrusted.files import Kind, read_json

FOLDER = Path(__file__).parent / "predictions"
STORED = Kind("write it anew with `vlbench predict --check FILE`", ours=True)


def stored(folder: Path = FOLDER) -> list[CheckedPrediction]:
    """Each of them. Raises UsageError for a file that is broken or edited."""
    found = [prediction_in(path, read_json(path, STORED)) for path in sorted(folder.glob("checked-*.json"))]
    return [each for each in found if isinstance(each, CheckedPrediction)]


def checked_table(folder: Path = FOLDER) -> str | None:
    """Every row, hit or miss, as a Markdown table; None without any."""
    rows = ["| GPU | row | predicted, ms | measured, ms | | off its middle | predicted speed-up | measured |"]
    rows.append("|---|---|--:|--:|---|--:|--:|--:|")
    for held in stored(folder):
        for each in held_rows(held):
            cells = (
                f"{held.fingerprint.gpu}, torch {held.fingerprint.torch}",
                f"{each.row.row}, {each.scenario} {each.point}".strip(),
                band_cell("", each.row.span, 1e3).shown,
                measured_cell(each).shown,
                {HIT: "hit", PARTLY: "hit in some", "": "-"}.get(each.place, f"miss, {each.place}"),
                change(each.over_middle) if each.over_middle else "-",
                band_cell("", each.row.ratio, 1, 2).shown,
                _speed_up(each),
            )
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) if len(rows) > 2 else None


def _speed_up(each: HeldRow) -> str:
    seen = each.seen and each.seen.estimate
    if not each.speed_up or not seen:
        return "-"
    fits = "" if each.speed_up_fits is None else ", hit" if each.speed_up_fits else ", miss"
    return f"{each.speed_up:.2f} [{1 / seen.high:.2f}, {1 / seen.low:.2f}]{fits}"


def checked_sentence(folder: Path = FOLDER) -> str | None:
    """What it comes to, a line for each GPU; None without any."""
    told = (
        f"Predicted first, then measured on an {h.fingerprint.gpu}. {in_one_line(held_rows(h))}" for h in stored(folder)
    )
    return "\n".join(textwrap.fill(each, 120) for each in told) or None


def measured_sentence(folder: Path = FOLDER) -> str | None:
    """What each row of the newest of them took; None without any."""
    found = [(each.measured, each) for each in stored(folder) if each.measured is not None]
    if not found:
        return None
    measured, held = max(found, key=lambda both: both[0].created)
    took = [f"`{each.row.row}` {measured_cell(each).shown}" for each in held_rows(held) if each.seconds]
    group = measured.groups[0]
    of = f"{group.model} in {group.dtype}, {group.scenario}"
    told = f"Milliseconds in each process on an [{held.fingerprint.gpu}](docs/gpu.md), {of}: {', '.join(took)}."
    return textwrap.fill(told, 120, break_long_words=False, break_on_hyphens=False)
