"""Causes put together by line: the same line in 32 blocks is one site."""

from __future__ import annotations

from vlbench.counting.advice import advise
from vlbench.record.counts import Counts
from vlbench.record.site import Site


def sites_of(counts: Counts) -> tuple[Site, ...]:
    """Every line that waits or copies, the most frequent first, with what removes it."""
    found: dict[Site, list[Site]] = {}
    for cause in counts.causes:
        found.setdefault(cause.model_copy(update={"stage": "", "times": 0, "bytes": 0}), []).append(cause)
    sites = (_site(place, causes) for place, causes in found.items())
    return tuple(sorted(sites, key=lambda site: -site.times))


def _site(place: Site, causes: list[Site]) -> Site:
    total = {"times": sum(cause.times for cause in causes), "bytes": sum(cause.bytes for cause in causes)}
    advice = advise(place)
    return place.model_copy(update=total | ({"flags": advice.flags, "advice": advice.words} if advice else {}))
