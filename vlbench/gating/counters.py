"""The counters of stored baselines: counted again, and judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from vlbench.comparing.counted import judge_cells
from vlbench.comparing.points import why_gone
from vlbench.gating.recount import Recounted, Wanted, recount
from vlbench.judging.judged import JudgedRow
from vlbench.record.baseline import Baseline, CountedCell


def count_again(baselines: Iterable[Baseline]) -> list[dict[str, Recounted]]:
    """The counted cells of each baseline, by name, all counted at once; one whose scenario is gone says so."""
    found: list[dict[str, Recounted]] = []
    wanted: list[dict[str, Wanted]] = []
    for baseline in baselines:
        gone = {cell.name: reason for cell in baseline.counted if (reason := why_gone(cell)) is not None}
        found.append({name: Recounted(reason=reason) for name, reason in gone.items()})
        wanted.append({cell.name: Wanted.of(cell) for cell in baseline.counted if cell.name not in gone})
    for into, cells, counted in zip(found, wanted, recount([cells.values() for cells in wanted]), strict=True):
        into.update({name: counted[cell] for name, cell in cells.items()})
    return found


def judge_counted(stored: Sequence[CountedCell], counted: Mapping[str, Recounted]) -> list[JudgedRow]:
    """A row for each stored cell; `counted` has each by its name."""
    rows = []
    for cell in stored:
        again = counted[cell.name]
        if again.cell is None:
            rows.append(JudgedRow.missing(cell.name, "counters", again.reason))
        else:
            rows.append(judge_cells(cell, again.cell, again.advice))
    return rows


def other_torch(stored: Iterable[CountedCell], counted: Mapping[str, Recounted]) -> str | None:
    """The torch of this run where a cell was stored with another one."""
    for cell in stored:
        again = counted[cell.name].cell
        if again is not None and again.key.torch_version != cell.key.torch_version:
            return again.key.torch_version
    return None
