"""From the report of a count to the cells of a baseline."""

from __future__ import annotations

import re
from collections import Counter as Multiset

from vlbench.comparing.counted_moves import COUNTERS
from vlbench.counting.job import Point
from vlbench.record.baseline import CountedCell, CountedForward
from vlbench.record.counted import CountedTower, Forward
from vlbench.record.counts import Tally
from vlbench.record.schema import Dtype
from vlbench.record.site import Event, Site, Where

_INDEX = re.compile(r"\[\d+\]")


def counted_cell(row: CountedTower, point: Point, profile: str, dtype: Dtype) -> CountedCell:
    """The cell of a row that is complete."""
    if row.cold is None or row.warm is None:
        raise ValueError(f"{row.name} was not counted")
    return CountedCell(
        tower=row.tower,
        scenario=point.scenario,
        point=point.label,
        grids=point.grids,
        profile=profile,
        dtype=dtype,
        key=row.warm.counts.key,
        cold=counted_forward(row.cold),
        warm=counted_forward(row.warm),
    )


def counted_forward(forward: Forward) -> CountedForward:
    """Counters, stages with their blocks added up, operations and lines."""
    counts = forward.counts
    stages: dict[str, Multiset[str]] = {}
    for name, tally in counts.stages.items():
        found = {counter: value for counter, value in _counters(tally).items() if value}
        stages.setdefault(_INDEX.sub("", name), Multiset()).update(found)
    times: Multiset[tuple[Event, Where]] = Multiset()
    for site in forward.sites:
        times[site.event, site.where] += site.times
    return CountedForward(
        counters=_counters(counts.total) | {"peak_live_bytes": counts.peak_live_bytes},
        stages={name: dict(found) for name, found in stages.items() if found},
        operations=counts.operations,
        sites=tuple(Site(event=event, where=where, times=n) for (event, where), n in times.items()),
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
        if unknown := forward.counts.unknown:
            name = min(unknown)
            return f'unknown operation {name}; say what it is with vlbench.counting_device.declare("{name}")'
        if forward.counts.not_measured:
            return forward.counts.not_measured[0]
    return None


def _counters(tally: Tally) -> dict[str, int]:
    """All but the peak, which no stage has for itself."""
    counted = tally.model_dump() | {"pageable_uploads": tally.uploads - tally.pinned_uploads}
    return {name: counted[name] for name in COUNTERS if name in counted}
