"""What the gate's counters say of every copy: the cells of the untouched one against the same cells of each other."""

from __future__ import annotations

from collections.abc import Sequence

from tests.gating.regressions.copies import UNTOUCHED, tower_of
from vlbench.comparing.counted import judge_cells
from vlbench.counting.job import Point
from vlbench.gating.recount import CountRequest, recount
from vlbench.judging.judged import JudgedRow
from vlbench.record.baseline import CountedCell, CountedForward
from vlbench.record.site import Event, Where

POINTS = (
    Point(scenario="grid", label="one image", grids=((1, 36, 36),)),
    Point(scenario="grid", label="aligned image and video", grids=((1, 32, 32), (3, 12, 20))),
)
"""The usual image; and what it hides: sides that are multiples of a window, frames, more than one item."""


def judge_counters(names: Sequence[str]) -> dict[str, list[JudgedRow]]:
    """Rows of each copy, one for each point, from the current folder. All are counted in one process."""
    wanted = {
        name: [CountRequest(tower_of(name), point, "sm_90", "bfloat16") for point in POINTS]
        for name in [UNTOUCHED, *names]
    }
    (found,) = recount([[each for cells in wanted.values() for each in cells]])

    def cell(name: str, index: int) -> CountedCell:
        counted = found[wanted[name][index]]
        assert counted.cell is not None, f"{name}: {counted.reason}"
        return _under_one_name(counted.cell, name)

    def advice(name: str, index: int) -> dict[tuple[Event, Where], str]:
        return {(e, _renamed(where, name)): words for (e, where), words in found[wanted[name][index]].advice.items()}

    return {
        name: [judge_cells(cell(UNTOUCHED, i), cell(name, i), advice(name, i)) for i in range(len(POINTS))]
        for name in names
    }


def _renamed(where: Where, name: str) -> Where:
    return Where.parse(str(where).removeprefix(f"{name}/"))


def _under_one_name(cell: CountedCell, name: str) -> CountedCell:
    """As if the package had kept its name, which is part of every line."""

    def renamed(forward: CountedForward) -> CountedForward:
        lines = (
            each.model_copy(
                update={
                    "where": _renamed(each.where, name),
                    "callers": tuple(_renamed(caller, name) for caller in each.callers),
                }
            )
            for each in forward.sites
        )
        return forward.model_copy(update={"sites": tuple(lines)})

    return cell.model_copy(update={"cold": renamed(cell.cold), "warm": renamed(cell.warm)})
