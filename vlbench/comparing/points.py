"""What a scenario feeds into a counted tower, by the name that a baseline keeps of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlbench.counting.job import Point
from vlbench.errors import UsageError
from vlbench.record.counted import Grid
from vlbench.towers.resolve import config_of

if TYPE_CHECKING:
    from vlbench.record.baseline import CountedCell

GRID = "grid"
"""In place of a scenario's name: the grids were given one by one, and are the point."""


def points_of(scenario: str) -> list[Point]:
    """Every point at its full size; `scenario` is kept as it is written. Raises UsageError where there is none."""
    from vlbench.workload.library import load_scenario

    points = load_scenario(scenario).points("cuda")
    return [Point(scenario=scenario, label=point.label, feed=point) for point in points]


def grid_point(grids: tuple[Grid, ...]) -> Point:
    """One call on grids that belong to no scenario."""
    return Point(scenario=GRID, label="+".join("x".join(map(str, grid)) for grid in grids), grids=grids)


def point_of(cell: CountedCell) -> Point:
    """What a cell is counted on: its grids, or what the scenario feeds now. Raises UsageError where that is gone."""
    if cell.scenario == GRID:
        return Point(scenario=GRID, label=cell.point, grids=cell.grids)
    points = {point.label: point for point in points_of(cell.scenario)}
    if cell.point not in points:
        raise UsageError(f"scenario {cell.scenario} has no point {cell.point!r} any more")
    return points[cell.point]


def why_gone(cell: CountedCell) -> str | None:
    """Why the scenario no longer feeds in what the cell was counted on, None where it does.

    What anyone's tower is fed is known once it is counted: its code says so.
    """
    try:
        point, config = point_of(cell), config_of(cell.tower)
    except UsageError as error:
        return str(error)
    now = cell.grids if config is None else point.fed_to(config.preprocessing).grids
    if now != cell.grids:
        return f"scenario {cell.scenario} feeds {_in_words(now)} now, and {_in_words(cell.grids)} when it was counted"
    return None


def _in_words(grids: tuple[Grid, ...]) -> str:
    shown = ", ".join("x".join(map(str, grid)) for grid in grids[:3])
    return f"{len(grids)} grids ({shown}, ...)" if len(grids) > 3 else shown
