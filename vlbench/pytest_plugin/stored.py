"""The cells of a baseline file, counted again and judged: once in a session, whoever asks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from vlbench.errors import UsageError
from vlbench.gating.accuracy import count_and_check, rows_of_cell
from vlbench.gating.marks import Mark
from vlbench.gating.recount import judge_counted
from vlbench.judging.judged import JudgedRow, Move
from vlbench.judging.verdict import Verdict
from vlbench.record.baseline import CountedCell
from vlbench.record.baseline_files import read_baseline
from vlbench.towers.models import find_dtype

_JUDGED = pytest.StashKey[dict[str, list[tuple[CountedCell, JudgedRow]]]]()
MOST_OPERATIONS = 3
"""Operations that are shown where no line tells why a counter rose."""
MEANT = '  if that is meant: `vlbench gate --baseline {0}`, then `vlbench baseline accept {0} --reason "..."`'


def complaints(config: pytest.Config, mark: Mark) -> Iterator[str]:
    """A paragraph for each cell that is worse than it was, or is not there any more.

    Raises UsageError for a file that cannot be gated on, and for a mark that none of its cells fits.
    """
    assert mark.baseline is not None
    judged = config.stash.setdefault(_JUDGED, {})
    if mark.baseline not in judged:
        judged[mark.baseline] = _judge(Path(mark.baseline))
    rows = [row for cell, row in judged[mark.baseline] if _fits(mark, cell)]
    if not rows:
        held = "; ".join(cell.name for cell, _ in judged[mark.baseline]) or "none"
        raise UsageError(f"{mark.baseline}: no counted cell is what the marker names (it has {held}); name one of them")
    for row in rows:
        if row.verdict not in (Verdict.SAME, Verdict.IMPROVED, Verdict.FEWER):
            meant = [MEANT.format(mark.baseline)] if row.verdict is Verdict.REGRESSED else []
            yield "\n".join([f"{row.reason}: {row.cell} against {mark.baseline}", *_why(row.moves), *meant])


def _judge(path: Path) -> list[tuple[CountedCell, JudgedRow]]:
    """All cells together, as `vlbench gate` counts them: a tower that remembers something then counts the same."""
    baseline = read_baseline(path)
    (counted,), (outcomes,) = count_and_check([baseline])
    judged = zip(baseline.counted, judge_counted(baseline.counted, counted), strict=True)
    return [(cell, row) for cell, counters in judged for row in rows_of_cell(cell, counters, outcomes)]


def _fits(mark: Mark, cell: CountedCell) -> bool:
    """Is it a cell that the mark names? What it leaves out, it leaves open."""
    grids = tuple("x".join(map(str, grid)) for grid in cell.grids)
    return (
        mark.tower in (None, cell.tower)
        and mark.scenario in (None, cell.scenario)
        and mark.grids in ((), grids)
        and (mark.dtype is None or find_dtype(mark.dtype) == cell.dtype)
        and mark.profile in (None, cell.profile)
    )


def _why(moves: tuple[Move, ...]) -> Iterator[str]:
    """The lines that do more than they did, else the operations."""
    risen = [move for move in moves if move.after > move.before]
    lines = [move for move in risen if move.kind == "line"]
    for move in lines:
        event, _, source = move.name.partition(": ")
        yield f"  {f'{move.file}:{move.line}: ' if move.file else ''}{source}"
        yield f"      {move.after:,.0f}x {event}, {move.before:,.0f}x before{move.advice and f'; {move.advice}'}"
    for move in [] if lines else [move for move in risen if move.kind == "operation"][:MOST_OPERATIONS]:
        yield f"  {move.name}: {move.after:,.0f}x, {move.before:,.0f}x before"
