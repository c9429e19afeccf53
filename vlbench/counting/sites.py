"""Causes put together by line: the same line in 32 blocks is one site."""

from __future__ import annotations

from vlbench.counting.advice import advise
from vlbench.record.counted import Site
from vlbench.record.counts import Cause, Counts


def sites_of(counts: Counts) -> tuple[Site, ...]:
    """Every place that waits or copies, the most frequent first, with what removes it."""
    found: dict[Cause, list[int]] = {}
    for cause in counts.causes:
        place = cause.model_copy(update={"stage": "", "times": 0, "bytes": 0})
        total = found.setdefault(place, [0, 0])
        total[0] += cause.times
        total[1] += cause.bytes
    sites = (_site(place, times, size) for place, (times, size) in found.items())
    return tuple(sorted(sites, key=lambda site: -site.times))


def _site(cause: Cause, times: int, size: int) -> Site:
    advice = advise(cause)
    return Site(
        event=cause.event,
        operation=cause.operation,
        where=cause.where,
        expression=cause.expression,
        blocking=cause.blocking,
        pinned=cause.pinned,
        times=times,
        bytes=size,
        flags=advice.flags if advice else (),
        advice=advice.words if advice else "",
    )
