"""Counts against the limits of a marker, and the report of a test that fails on them."""

from collections.abc import Iterable, Iterator, Mapping

from vlbench.comparing.counted_cells import advice_of, counted_forward, why_incomplete
from vlbench.comparing.counted_moves import COUNTERS, Advice
from vlbench.export.counted import chosen
from vlbench.export.fed import title
from vlbench.gating.marks import Mark
from vlbench.judging.words import counter_name
from vlbench.record.baseline import CountedForward
from vlbench.record.counted import CountReport
from vlbench.record.site import Site, outside_of_helpers, times_by_line

MOST_STAGES = 3
"""Stages that are shown where a counter has no lines."""


def complaints(mark: Mark, report: CountReport) -> Iterator[str]:
    """A paragraph for each point on which the tower was not counted, or counted above a limit."""
    for group in report.groups:
        for tower in group.towers:
            cell = f"{mark.tower} on {title(report, group)}"
            forward = chosen(tower, mark.cold)
            reason = why_incomplete(tower)
            if forward is None or reason:
                yield f"{reason}: {cell}"
                continue
            counted = counted_forward(forward)
            above = [name for name, most in mark.limits.items() if counted.counters[name] > most]
            if above:
                sites = (site for site in forward.sites if any(_makes(site, name) for name in above))
                yield "\n".join(
                    [
                        f"{_excess(above, counted, mark.limits)}: {cell}, {'first' if mark.cold else 'second'} forward",
                        *_lines(sites, advice_of(tower)),
                        *(line for name in above if not COUNTERS[name] for line in _stages(name, counted)),
                    ]
                )


def _excess(above: list[str], counted: CountedForward, limits: Mapping[str, int]) -> str:
    return "; ".join(f"{counter_name(name)} {counted.counters[name]:,}, at most {limits[name]:,}" for name in above)


def _makes(site: Site, counter: str) -> bool:
    """Does this line count there?"""
    if counter in ("host_syncs", "allowed_syncs"):
        return site.blocking and bool(site.allowed) is (counter == "allowed_syncs")
    return site.event in COUNTERS[counter] and not (counter == "pageable_uploads" and site.pinned)


def _lines(sites: Iterable[Site], advice: Advice) -> Iterator[str]:
    times = times_by_line(sites)
    named = outside_of_helpers(chain for _, _, chain in times)
    for (event, allowed, chain), number in times.most_common():
        words = advice.get((event, chain[0]))
        through = "" if named[chain] == chain[0] else f", through {chain[0]}"
        why = f", allowed: {allowed}" if allowed else ""
        yield f"  {named[chain]}"
        yield f"      {number:,}x {event}{why}{through}" + (f"; {words}" if words else "")


def _stages(counter: str, counted: CountedForward) -> Iterator[str]:
    """Where most of a counter comes from that no line is known for; the peak comes from nowhere alone."""
    found = sorted(((tally.get(counter, 0), stage) for stage, tally in counted.stages.items()), reverse=True)
    if most := [f"{stage or 'outside of all stages'} {count:,}" for count, stage in found[:MOST_STAGES] if count]:
        yield f"  {counter_name(counter)}: {', '.join(most)}"
