"""Counts against the limits of a marker, and the report of a test that fails on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from vlbench.counting_device.counts import Event
from vlbench.export.counted import chosen, title
from vlbench.gate.counted import counted_forward, why_incomplete
from vlbench.judge.counted_moves import COUNTERS
from vlbench.pytest_plugin.marks import Mark
from vlbench.record.counted import CountReport, Forward, Site

MOST_STAGES = 3
"""Stages that are shown where a counter has no lines."""


def complaints(mark: Mark, report: CountReport) -> Iterator[str]:
    """A paragraph for each point on which the tower was not counted, or counted above a limit."""
    for group in report.groups:
        for tower in group.towers:
            cell = f"{mark.tower} on {title(report, group)}"
            forward = chosen(tower, mark.cold)
            if reason := why_incomplete(tower):
                yield f"{reason}: {cell}"
            elif forward and (lines := list(_above(mark.limits, forward))):
                which = "first" if mark.cold else "second"
                yield "\n".join([f"{lines[0]}: {cell}, {which} forward", *lines[1:]])


def _above(limits: Mapping[str, int], forward: Forward) -> Iterator[str]:
    """The counters above their limits, then the lines that make them; nothing where there are none."""
    counted = counted_forward(forward)
    above = {name: counted.counters[name] for name, most in limits.items() if counted.counters[name] > most}
    if above:
        yield "; ".join(f"{_words(name)} {count:,}, at most {limits[name]:,}" for name, count in above.items())
    yield from _lines(site for site in forward.sites if any(_makes(site, name) for name in above))
    for name in above:
        if not COUNTERS[name]:
            found = sorted(((tally.get(name, 0), stage) for stage, tally in counted.stages.items()), reverse=True)
            if most := [f"{stage or 'outside of all stages'} {n:,}" for n, stage in found[:MOST_STAGES] if n]:
                yield f"  {_words(name)}: {', '.join(most)}"


def _lines(sites: Iterable[Site]) -> Iterator[str]:
    for site in sites:
        yield f"  {site.where}"
        advice = f"; {site.advice}" if site.advice else ""
        flags = f" (as {' or '.join(site.flags)} does)" if site.flags else ""
        yield f"      {site.times:,}x {site.event}{advice}{flags}"


def _makes(site: Site, counter: str) -> bool:
    """Does this line count there?"""
    event: Event = site.event
    if counter == "host_syncs":
        return site.blocking
    return event in COUNTERS[counter] and not (counter == "pageable_uploads" and site.pinned)


def _words(counter: str) -> str:
    return counter.replace("_", " ")
