"""A calibration as a sheet: what was counted beside what the GPU was seen to do."""

from collections.abc import Iterator
from pathlib import Path

from vlbench.export.sheet import Cell, Column, Columns, Part, Sheet, Table, Words, broken, checked, figure, table_of
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import number_of, percent
from vlbench.kernel_times.stored import HoldOut, StoredBoard, TimeTable
from vlbench.record.calibration import Calibration, Check

CHECKED = {"syncs": "host_syncs", "uploads": "uploads", "read-backs": "read_backs"}
"""Of a calibration, by heading: the counters that are counted here and seen on the GPU."""


def calibrated_sheet(found: Calibration, path: Path) -> Sheet:
    """Per tower: counted and seen, and the kernels that the others' table gives; below it, every disagreement."""
    headings = [*(f"{counter}\ncounted/seen" for counter in CHECKED), "kernels\nmodel/seen"]
    rows = [(Cell(broken(each.tower), each.tower), *_pairs(each)) for each in found.checks]
    how = "each tower modelled from the others" if found.out_of_sample else "in sample, as there is one tower"
    kinds = f"{number_of(len(found.entries), 'kind')} of operations"
    attention = f" with cuDNN {found.cudnn}" if found.cudnn else ""
    parts: list[Part] = [
        Words(f"{found.gpu}, torch {found.torch_version}, as {found.profile}{attention}", "bold"),
        Table("calibration", [Column("tower", most=20), *headings], rows),
        Words(f"{kinds}; largest error of modelled kernels {found.error:.1%} ({how})."),
        *(Words(line, "red") for each in found.checks for line in _disagreements(each)),
        Words(f"Calibration in {path}", "dim"),
    ]
    verdicts = tuple(map(_judged, found.checks))
    judged = Judged(command="calibrate", before="counted", after=f"seen on {found.gpu}", rows=verdicts)
    return checked("vlbench calibrate", parts, judged, json=lambda: found.model_dump_json(indent=1))


def board_sheet(found: StoredBoard, path: Path) -> Sheet:
    """What a measured board holds, how far look-ups are off for rows held out, and where it is."""
    memory, host = found.memory, found.host
    times: Columns[TimeTable] = {
        "of": _kind,
        "times": lambda each: sum(us is not None for row in each.us for us in row),
        "shapes": lambda each: len(each.pairs) * len(each.steps),
    }
    errors: Columns[HoldOut] = {
        "of": _kind,
        Column("taken out", "hidden", left=True): lambda each: ", ".join(each.hidden),
        "rows": lambda each: each.rows,
        Column("median error", "median"): lambda each: figure(each.median, percent),
        Column("90th percentile", "p90"): lambda each: figure(each.p90, percent),
    }
    rate = f"{memory.bytes_per_s / 1e9:,.0f} GB/s"
    parts: list[Part] = [
        Words(f"{found.gpu}, {found.tables[0].dtype}, {found.tables[0].engine}", "bold"),
        table_of("times", found.tables, times),
        Words(f"Memory moves {rate}; the shortest kernel takes {memory.constant_us:.1f} us."),
        Words(
            f"Its host takes {host[0]:.2f} times as long as the fast one of captures, {host[1]:.2f} as the slow one."
            if host
            else "Its host was not measured: that of captures stands for it."
        ),
        table_of("errors", found.errors, errors, title="look-ups of rows held out"),
        Words(f"Board in {path}; `vlbench predict --gpu {path}` takes it", "dim"),
    ]
    rows = (JudgedRow(cell=found.board, measure="time", verdict=Verdict.SAME, reason="it was measured"),)
    judged = Judged(command="calibrate", before="the stored shapes", after=found.gpu, rows=rows)
    return checked("vlbench calibrate", parts, judged, json=lambda: found.model_dump_json(indent=1))


def _kind(each: TimeTable | HoldOut) -> str:
    return f"{each.what}, head_dim {each.head_dim}" if each.head_dim else each.what


def _judged(each: Check) -> JudgedRow:
    """A count that the GPU does not have is missing from what it stands for."""
    reason = "syncs and copies are the same" if each.exact else "; ".join(_disagreements(each)) or "figures differ"
    verdict = Verdict.SAME if each.exact else Verdict.MISSING
    return JudgedRow(cell=each.tower, measure="counters", verdict=verdict, reason=reason)


def _pairs(each: Check) -> Iterator[Cell]:
    for name in CHECKED.values():
        counted, seen = each.counted[name], each.seen[name]
        yield Cell(f"{counted:,}/{seen:,}", {f"{name}_counted": counted, f"{name}_seen": seen})
    kernels = {"kernels_modelled": each.modelled_kernels, "kernels_seen": each.kernels}
    yield Cell(f"{each.modelled_kernels:,.0f}/{each.kernels:,}", kernels)


def _disagreements(each: Check) -> list[str]:
    return [
        *(f"{each.tower}: {line.where}: {line.counted} waits counted, {line.warned} warned of" for line in each.lines),
        *(f"{each.tower}: {call}: {both[0]} calls counted, {both[1]} seen" for call, both in each.calls.items()),
        *(f"{each.tower}: {n} kernels in {name}, which is not counted" for name, n in each.unattributed.items()),
    ]
