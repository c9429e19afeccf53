"""One gate run: every cell of every baseline measured again and judged, each in a row of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vlbench.comparing.captured import captured_cell, captured_notes, judge_captured
from vlbench.comparing.counted_cells import CountResult
from vlbench.errors import UsageError
from vlbench.gating import Times
from vlbench.gating.accuracy import Outcomes, checked_rows, unchecked_notes, wrong_towers
from vlbench.gating.changes import Cell
from vlbench.gating.recount import judge_counted, other_torch
from vlbench.gating.timed import GateResult, here_for, judge_timed
from vlbench.judging.judged import JudgedRow
from vlbench.record.baseline import Baseline, CapturedCell

if TYPE_CHECKING:
    from vlbench.trial.session import Watch


def gate(
    baselines: Mapping[Path, Baseline],
    counted: Sequence[Mapping[str, CountResult]],
    captured: Mapping[str, CapturedCell] | None = None,
    times: Times = Times.AUTO,
    watch: Watch | None = None,
    checked: Sequence[Outcomes] = (),
) -> dict[Path, GateResult]:
    """Judge every cell. Times are measured here, when nothing else runs.

    `counted` and `checked` are those of `count_and_check`, `captured` the captures of `read_captures`. A baseline of
    which nothing was judged has a row that says so: no gate passes by measuring nothing.
    """
    return {
        path: _judge(path, baseline, counts, outcomes, captured or {}, times, watch)
        for (path, baseline), counts, outcomes in zip(
            baselines.items(), counted, checked or [{} for _ in counted], strict=True
        )
    }


def read_captures(baselines: Iterable[Baseline], paths: Iterable[Path]) -> dict[str, CapturedCell]:
    """New captures by name, of the ranges that a baseline holds.

    Raises UsageError for a file that is no capture, or that no baseline asks for by its name.
    """
    ranges = {cell.name: {each.name for each in cell.ranges} for each in baselines for cell in each.captured}
    found = {}
    for path in paths:
        new = captured_cell(path)
        if new.name not in ranges:
            stored = ", ".join(ranges) or "none"
            raise UsageError(
                f"--capture {path}: the baselines hold no capture {new.name!r}; name it after one ({stored})"
            )
        kept = tuple(each for each in new.ranges if each.name in ranges[new.name])
        found[new.name] = new.model_copy(update={"ranges": kept})
    return found


def _judge(
    path: Path,
    baseline: Baseline,
    counted: Mapping[str, CountResult],
    outcomes: Outcomes,
    captured: Mapping[str, CapturedCell],
    times: Times,
    watch: Watch | None,
) -> GateResult:
    rows = checked_rows(baseline, judge_counted(baseline.counted, counted), outcomes)
    rows += _judge_captures(baseline, captured)
    wrong = wrong_towers(outcomes)
    cells: list[Cell] = [each.cell for each in counted.values() if each.cell and each.cell.tower not in wrong]
    cells += [captured[cell.name] for cell in baseline.captured if cell.name in captured]
    notes = [*unchecked_notes(baseline), *captured_notes(baseline.captured, captured)]
    if torch := other_torch(baseline.counted, counted):
        notes.append(
            f'{path} was counted with another torch: `vlbench baseline rebase {path} --reason "..."` accepts what '
            f"torch {torch} changed, where the code is the same"
        )
    if baseline.timed:
        here = baseline.fingerprint if times is Times.NEVER else here_for(baseline)  # to ask the machine takes seconds
        timed = judge_timed(baseline, here, times, watch)
        rows += timed.rows
        notes += timed.notes
        cells += timed.cells
    if not any(row.gates for row in rows):
        reason = "nothing in this file was judged; leave it out, or measure where it can be"
        rows.append(JudgedRow.missing(str(path), "time", reason))
    return GateResult(rows, notes, cells)


def _judge_captures(baseline: Baseline, captured: Mapping[str, CapturedCell]) -> Iterator[JudgedRow]:
    for cell in baseline.captured:
        if new := captured.get(cell.name):
            yield judge_captured(cell, new)
        else:
            reason = f"no new capture of it was given; take one and add --capture {cell.name}.nsys-rep"
            yield JudgedRow.missing(f"capture {cell.name}", "counters", reason)
