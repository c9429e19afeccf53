"""The counted cells of a baseline: made from the report of a count, and what the scenario of one feeds in now."""

import re
from collections import Counter as Multiset
from dataclasses import dataclass, field

from vlbench.comparing.counted_moves import COUNTERS, Advice
from vlbench.counting.job import Point
from vlbench.errors import UsageError
from vlbench.record.base import Grid, grid_text
from vlbench.record.baseline import CountedCell, CountedForward
from vlbench.record.counted import CountedTower, Forward
from vlbench.record.counts import Tally
from vlbench.record.schema import Dtype
from vlbench.record.site import Event, Site, Where, times_by_line
from vlbench.record.work import Work
from vlbench.towers.resolve import config_of

_INDEX = re.compile(r"\[\d+\]")
GRID = "grid"
"""In place of a scenario's name: the grids were given one by one, and are the point."""


@dataclass(frozen=True)
class CountResult:
    """A counted cell, or the reason why there is none."""

    cell: CountedCell | None = None
    reason: str = ""
    advice: Advice = field(default_factory=dict)
    """What removes its lines, by event and place."""
    work: Work | None = None
    """Of a small call; None where there is none that floats do not decide."""


def count_result(row: CountedTower, point: Point, profile: str, dtype: Dtype, work: Work | None = None) -> CountResult:
    """What can be compared of a row that was counted on `point`."""
    if reason := why_incomplete(row):
        return CountResult(reason=reason)
    return CountResult(counted_cell(row, point, profile, dtype), advice=advice_of(row), work=work)


def counted_cell(row: CountedTower, point: Point, profile: str, dtype: Dtype) -> CountedCell:
    """The cell of a row that is complete."""
    if row.cold is None or row.warm is None:
        raise ValueError(f"{row.name} was not counted")
    return CountedCell(
        tower=row.called,
        scenario=point.scenario,
        point=point.label,
        grids=point.grids,
        profile=profile,
        dtype=dtype,
        key=row.warm.counts.key,
        cold=counted_forward(row.cold),
        warm=counted_forward(row.warm),
        further=row.further,
    )


def counted_forward(forward: Forward) -> CountedForward:
    """Counters, stages with their blocks added up, operations and lines."""
    counts = forward.counts
    stages: dict[str, Multiset[str]] = {}
    for name, tally in counts.stages.items():
        found = {counter: value for counter, value in _counters(tally).items() if value}
        stages.setdefault(_INDEX.sub("", name), Multiset()).update(found)
    times = times_by_line(forward.sites)
    return CountedForward(
        counters=_counters(counts.total) | {"peak_live_bytes": counts.peak_live_bytes},
        stages={name: dict(found) for name, found in stages.items() if found},
        operations=counts.operations,
        sites=tuple(
            Site(event=event, where=chain[0], callers=chain[1:], allowed=allowed, times=n)
            for (event, allowed, chain), n in times.items()
        ),
    )


def advice_of(row: CountedTower) -> dict[tuple[Event, Where], str]:
    """What removes the row's lines, by event and place, where that is known."""
    return {
        (site.event, site.where): f"{site.advice} (as {' or '.join(site.flags)} does)" if site.flags else site.advice
        for forward in (row.cold, row.warm)
        for site in (forward.sites if forward else ())
        if site.advice
    }


def why_incomplete(row: CountedTower) -> str | None:
    """Why a row cannot be gated on, in one sentence; None where it can."""
    if row.failed is not None:
        return row.failed
    for forward in (row.cold, row.warm):
        if forward is None:
            return "it was not counted"
        if why := forward.counts.why_not_whole:
            return why
    return None


def _counters(tally: Tally) -> dict[str, int]:
    """All but the peak, which no stage has for itself."""
    counted = tally.model_dump() | {"pageable_uploads": tally.uploads - tally.pinned_uploads}
    return {name: counted[name] for name in COUNTERS if name in counted}


def points_of(scenario: str) -> list[Point]:
    """Every point at its full size; `scenario` is kept as it is written. Raises UsageError where there is none."""
    from vlbench.workload.library import load_scenario

    points = load_scenario(scenario).points("cuda")
    return [Point(scenario=scenario, label=point.label, feed=point) for point in points]


def grid_point(grids: tuple[Grid, ...]) -> Point:
    """One call on grids that belong to no scenario."""
    return Point(scenario=GRID, label="+".join(map(grid_text, grids)), grids=grids)


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
    return why_fed_otherwise(cell, cell.grids if config is None else point.replayed(config.preprocessing).grids)


def why_fed_otherwise(cell: CountedCell, now: tuple[Grid, ...]) -> str | None:
    """Which grids the scenario feeds `now` in place of those of the cell, None where they are the same."""
    if now == cell.grids:
        return None
    return f"scenario {cell.scenario} feeds {_in_words(now)} now, and {_in_words(cell.grids)} when it was counted"


def _in_words(grids: tuple[Grid, ...]) -> str:
    shown = ", ".join(map(grid_text, grids[:3]))
    return f"{len(grids)} grids ({shown}, ...)" if len(grids) > 3 else shown
