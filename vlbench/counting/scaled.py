"""One tower at full size, by its layers where they are alike, else in full."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from vlbench.counting.job import Point
from vlbench.counting.layers import Chunk, Reduction, pieces_of, reduced_texts, whole_peak, whole_tally
from vlbench.counting.measure import Seen, refuse_platform, resolved, two_forwards, with_place
from vlbench.counting.rows import Row
from vlbench.counting_device import CountingDevice
from vlbench.errors import UsageError
from vlbench.record.at_scale import RowAtScale
from vlbench.record.counts import Tally
from vlbench.record.sequence import ForwardName, Sequences


class Scaled(NamedTuple):
    """Two forwards of a tower at full size."""

    cold: Tally
    warm: Tally
    peak_live_bytes: int
    """In the second."""
    sequences: Callable[[], Sequences]
    """Makes the events of both; those of a tower that waits often are some hundred thousand."""
    by_layers: bool
    chunks: Callable[[ForwardName], Iterator[Chunk]]
    """Makes those of one of them, with the numbers of blocks taken out where it is by layers."""


Also = Callable[[Scaled], Mapping[str, Any]]
"""What else is found out of a row: further fields of `RowAtScale`."""


def scaled(device: CountingDevice, row: Row, point: Point, dtype: torch.dtype) -> Scaled:
    """Counters and events of the tower of `row` on `point`, exactly as if all of its layers had been counted.

    Raises UsageError for what cannot be had or counted whole, and whatever the tower raises.
    """
    if found := reduced_texts(row.tower):
        reduction, texts = found
        with reduction.known():
            seen = [_counted(device, replace(row, tower=text), point, dtype) for text in texts]
        if made := _by_layers(reduction, seen):
            return made
    return in_full(device, row, point, dtype)


def in_full(device: CountingDevice, row: Row, point: Point, dtype: torch.dtype) -> Scaled:
    """The same with every layer counted. Raises as `scaled` does."""
    cold, warm = _counted(device, row, point, dtype)
    counts = warm.forward.counts
    return Scaled(
        cold.forward.counts.total,
        counts.total,
        counts.peak_live_bytes,
        lambda: Sequences(cold.events, warm.events),
        by_layers=False,
        chunks=lambda forward: iter([("whole", (cold if forward == "cold" else warm).events)]),
    )


def row_at_scale(
    device: CountingDevice, row: Row, point: Point, dtype: torch.dtype, also: Also = lambda found: {}
) -> RowAtScale:
    """The same as it is kept, with the reason where there is nothing to keep."""
    failed = RowAtScale(name=row.name, tower=row.tower)
    try:
        found = scaled(device, row, point, dtype)
    except UsageError as error:
        return failed.model_copy(update={"failed": str(error)})
    except Exception as error:  # whatever a tower raises
        return failed.model_copy(update={"failed": with_place(error)})
    kept = {name: getattr(found, name) for name in ("cold", "warm", "peak_live_bytes", "by_layers")}
    return failed.model_copy(update={**kept, **also(found)})


def _counted(device: CountingDevice, row: Row, point: Point, dtype: torch.dtype) -> tuple[Seen, Seen]:
    tower, fed = resolved(device, row.tower, point)
    refuse_platform(tower)
    both = two_forwards(device, tower, fed, dtype, row, ordered=True)
    for each in both:
        if why := each.forward.counts.why_not_whole:
            raise UsageError(why)
    return both


def _by_layers(reduction: Reduction, seen: Sequence[tuple[Seen, Seen]]) -> Scaled | None:
    cold, warm = ([each[which] for each in seen] for which in (0, 1))
    pieces = pieces_of(reduction, [each.events for each in cold], [each.events for each in warm])
    if pieces is None:
        return None
    firsts, seconds = ([each.forward.counts for each in some] for some in (cold, warm))
    return Scaled(
        whole_tally(reduction, firsts),
        whole_tally(reduction, seconds),
        whole_peak(reduction, seconds),
        lambda: Sequences(*(each.whole(reduction.kinds) for each in pieces)),
        by_layers=True,
        chunks=lambda forward: pieces[forward == "warm"].chunks(reduction.kinds),
    )
