"""Learns the operation table from forwards that were both counted and profiled, and checks the counts by them."""

from collections import Counter as Multiset
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vlbench.counting.kernels import modelled
from vlbench.counting.trace import KindKey, Observed, Work
from vlbench.record.calibration import Check, Disagreement, Entry
from vlbench.record.counts import Counts
from vlbench.record.grouping import gathered
from vlbench.record.site import Where


@dataclass(frozen=True)
class Pair:
    """One forward, counted and seen."""

    tower: str
    dtype: str
    counts: Counts
    observed: Observed
    warned: Mapping[Where, int]
    """Waits by line, as torch's sync debug mode reports them."""


def learn(observed: Iterable[Observed]) -> tuple[Entry, ...]:
    """The operation table: what the calls of each kind were on the GPU."""
    kinds = gathered((work.kind, work) for each in observed for work in filter(Work.is_any, each.calls))
    return tuple(_entry(kind, calls) for kind, calls in sorted(kinds.items()))


def _entry(kind: KindKey, calls: Sequence[Work]) -> Entry:
    operation, dtype, size = kind
    kernels = [work.kernels for work in calls]
    return Entry(
        operation=operation,
        dtype=dtype,
        size=size,
        calls=len(calls),
        kernels=sum(kernels) / len(calls),
        least=min(kernels),
        most=max(kernels),
        memcpys=sum(work.memcpys for work in calls) / len(calls),
        memsets=sum(work.memsets for work in calls) / len(calls),
    )


def check(pairs: Sequence[Pair]) -> tuple[Check, ...]:
    """Each forward against what was counted; its kernels are modelled from the other towers where there are any."""
    found = []
    for pair in pairs:
        others = [each.observed for each in pairs if each.tower != pair.tower] or [pair.observed]
        counted, seen = _counters(pair)
        found.append(
            Check(
                tower=pair.tower,
                dtype=pair.dtype,
                counted=counted,
                seen=seen,
                lines=_lines(pair),
                calls=_calls(pair),
                unattributed=dict(pair.observed.unattributed),
                kernels=pair.observed.kernels,
                modelled_kernels=modelled(pair.counts, learn(others)).kernels,
            )
        )
    return tuple(found)


def largest_error(checks: Iterable[Check]) -> float:
    """The largest relative error of modelled kernels."""
    return max((abs(each.modelled_kernels / each.kernels - 1) for each in checks if each.kernels), default=0.0)


def _counters(pair: Pair) -> tuple[dict[str, int], dict[str, int]]:
    total = pair.counts.total
    counted = {
        "host_syncs": total.host_syncs + total.allowed_syncs,
        "uploads": total.uploads + total.implicit_uploads,  # the profiler cannot tell them apart
        "upload_bytes": total.upload_bytes + total.implicit_upload_bytes,
        "read_backs": total.read_backs,
        "read_back_bytes": total.read_back_bytes,
    }
    return counted, {name: pair.observed.counters.get(name, 0) for name in counted}


def _lines(pair: Pair) -> tuple[Disagreement, ...]:
    counted: Multiset[Where] = Multiset()
    for cause in pair.counts.causes:
        if cause.blocking:
            counted[cause.where] += cause.times
    return tuple(
        Disagreement(where=where, counted=counted[where], warned=pair.warned.get(where, 0))
        for where in dict.fromkeys((*counted, *pair.warned))
        if counted[where] != pair.warned.get(where, 0)
    )


def _calls(pair: Pair) -> dict[str, tuple[int, int]]:
    counted: Multiset[str] = Multiset()
    for kind in pair.counts.kinds:
        counted[kind.operation] += kind.times
    seen = Multiset(work.kind[0] for work in filter(Work.is_any, pair.observed.calls))
    return {name: (counted[name], seen[name]) for name in sorted(counted | seen) if counted[name] != seen[name]}
