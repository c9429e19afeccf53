"""The cells of a baseline file, counted again and judged: once in a session, whoever asks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from vlbench.counting_device.profiles import cudnn_of
from vlbench.errors import UsageError
from vlbench.gating.accuracy import count_and_check, rows_of_cell, tower_title
from vlbench.gating.marks import Mark
from vlbench.gating.recount import judge_counted
from vlbench.judging.judged import JudgedRow, Move
from vlbench.judging.verdict import NO_WORSE, Verdict
from vlbench.pytest_plugin import BASE
from vlbench.pytest_plugin.base import ACCEPTED, judged_by_base
from vlbench.record.base import grid_text
from vlbench.record.baseline import CountedCell
from vlbench.record.baseline_files import read_baseline
from vlbench.towers.models import find_dtype

_JUDGED = pytest.StashKey[dict[Path, list[tuple[CountedCell | None, JudgedRow]]]]()
MOST_OPERATIONS = 3
"""Operations that are shown where no line tells why a counter rose."""
MEANT = '  if that is meant: `vlbench gate --baseline {0}`, then `vlbench baseline accept {0} --reason "..."`'


def folder_of(item: pytest.Item, baseline: str) -> Path:
    """The nearest folder above a test in which there is its baseline, up to pytest's root: one of a repository's many.

    Its towers are imported from there, too.
    """
    root = item.config.rootpath
    above = (folder for folder in item.path.parents if folder.is_relative_to(root))
    return next((folder for folder in above if (folder / baseline).is_file()), root)


def complaints(item: pytest.Item, mark: Mark) -> Iterator[str]:
    """A paragraph for each cell that is worse than it was, or is not there any more; in the folder of the baseline.

    Raises UsageError for a file that cannot be gated on, and for a mark that none of its cells fits.
    """
    assert mark.baseline is not None
    judged, path = item.config.stash.setdefault(_JUDGED, {}), Path(mark.baseline).resolve()
    if path not in judged:
        judged[path] = _judge(Path(mark.baseline), item.config.getoption(BASE))
    rows = [row for cell, row in judged[path] if cell is None or _fits(mark, cell)]
    if not rows:
        held = "; ".join(cell.name for cell, _ in judged[path] if cell) or "none"
        raise UsageError(f"{mark.baseline}: no counted cell is what the marker names (it has {held}); name one of them")
    for row in rows:
        if row.verdict is Verdict.ACCEPTED:
            item.user_properties.append((ACCEPTED, f"{row.cell}: {row.reason}"))
        elif row.verdict not in NO_WORSE:
            meant = [MEANT.format(mark.baseline)] if row.verdict is Verdict.REGRESSED else []
            yield "\n".join([f"{row.reason}: {row.cell} against {mark.baseline}", *_why(row.moves), *meant])


def _judge(path: Path, base: str | None) -> list[tuple[CountedCell | None, JudgedRow]]:
    """All cells together, as `vlbench gate` counts them: a tower that remembers something then counts the same.

    By the merge base with `base`, if it is given; a row that is of no cell is then of all.
    """
    if base:
        baseline, rows = judged_by_base(path, base)
        cells = [(each, (each.name, tower_title(each.tower))) for each in baseline.counted]
        of_cells = [(cell, row) for cell, names in cells for row in rows if row.cell in names]
        known = {name for _, names in cells for name in names}
        return [*of_cells, *((None, row) for row in rows if row.cell not in known)]
    baseline = read_baseline(path)
    (counted,), (outcomes,) = count_and_check([baseline])
    judged = zip(baseline.counted, judge_counted(baseline.counted, counted), strict=True)
    return [(cell, row) for cell, counters in judged for row in rows_of_cell(cell, counters, outcomes)]


def _fits(mark: Mark, cell: CountedCell) -> bool:
    """Is it a cell that the mark names? What it leaves out, it leaves open."""
    grids = tuple(map(grid_text, cell.grids))
    return (
        mark.tower in (None, cell.tower)
        and mark.scenario in (None, cell.scenario)
        and mark.grids in ((), grids)
        and (mark.dtype is None or find_dtype(mark.dtype) == cell.dtype)
        and mark.profile in (None, cell.profile)
        and (mark.cudnn is None or cudnn_of(mark.cudnn) == cell.key.cudnn.partition(",")[0])
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
