"""What a scenario feeds into a counted tower, by the name that a baseline keeps of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlbench.counting.job import Point
from vlbench.errors import UsageError
from vlbench.record.counted import Grid

if TYPE_CHECKING:
    from vlbench.record.baseline import CountedCell

GRID = "grid"
"""In place of a scenario's name: the grids were given one by one, and are the point."""
SEED = 0
"""Of scenarios that draw their requests."""


def points_of(scenario: str) -> list[Point]:
    """Every point at its full size; `scenario` is kept as it is written. Raises UsageError where there is none."""
    from vlbench.workload import grids_only, load_scenario

    return [
        Point(scenario=scenario, label=point.label, grids=grids_only(point, SEED))
        for point in load_scenario(scenario).points("cuda")
    ]


def grid_point(grids: tuple[Grid, ...]) -> Point:
    """One call on grids that belong to no scenario."""
    return Point(scenario=GRID, label="+".join("x".join(map(str, grid)) for grid in grids), grids=grids)


def why_gone(cell: CountedCell) -> str | None:
    """Why the scenario no longer feeds in what the cell was counted on, None where it does."""
    if cell.scenario == GRID:
        return None
    try:
        points = {point.label: point.grids for point in points_of(cell.scenario)}
    except UsageError as error:
        return str(error)
    if cell.point not in points:
        return f"scenario {cell.scenario} has no point {cell.point!r} any more"
    if (now := points[cell.point]) != cell.grids:
        return f"scenario {cell.scenario} feeds {_in_words(now)} now, and {_in_words(cell.grids)} when it was counted"
    return None


def _in_words(grids: tuple[Grid, ...]) -> str:
    shown = ", ".join("x".join(map(str, grid)) for grid in grids[:3])
    return f"{len(grids)} grids ({shown}, ...)" if len(grids) > 3 else shown
