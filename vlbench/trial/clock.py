"""How one call is timed: by the wall clock on a CPU, by events on a GPU."""

import time
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch

from vlbench.implementations.output import Parts

Call = Callable[[], Parts]


class Reading(NamedTuple):
    """One timed call."""

    output: Parts
    seconds: float
    host_seconds: float | None = None
    """CUDA: until the call gave the host back."""
    hidden: bool = False
    """CUDA: did much more time pass than the events saw?"""


Clock = Callable[[Call], Reading]

SYNCHRONIZE: dict[str, Callable[[], None]] = {"cpu": lambda: None, "cuda": torch.cuda.synchronize}
"""Waits for a device, and raises what went wrong on it since. A device that was lost, to an illegal access for one,
raises from then on whoever asks."""


def wall_clock(call: Call) -> Reading:
    """From the call to its return."""
    start = time.perf_counter_ns()
    output = call()
    return Reading(output, (time.perf_counter_ns() - start) * 1e-9)


HIDDEN_FACTOR, HIDDEN_SECONDS = 1.5, 200e-6
"""Work on another stream, or after the call, shows as host time to a full synchronisation beyond the events' span."""


def event_clock(call: Call) -> Reading:
    """From the first to the last thing on the stream. What came before has ended first."""
    torch.cuda.synchronize()
    start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    begin = time.perf_counter()
    start.record()
    output = call()
    end.record()
    issued = time.perf_counter() - begin
    torch.cuda.synchronize()
    whole = time.perf_counter() - begin
    span = float(start.elapsed_time(end)) * 1e-3
    return Reading(output, span, issued, hidden=whole > HIDDEN_FACTOR * span + HIDDEN_SECONDS)


PROBE = 10_000_000
"""Cycles, some milliseconds."""


@cache
def cycles_per_second() -> float:
    """Of `torch.cuda._sleep`. The first of a process loads its module and wakes the GPU, so the second is timed."""

    def sleep() -> Parts:
        torch.cuda._sleep(PROBE)  # type: ignore[no-untyped-call]
        return {}

    event_clock(sleep)
    return PROBE / event_clock(sleep).seconds


def occupy(seconds: float) -> None:
    """Keep the current stream busy for so long, from when it gets there. The host goes on."""
    torch.cuda._sleep(int(seconds * cycles_per_second()))  # type: ignore[no-untyped-call]


def queue_for(span: float) -> float:
    """Seconds of queued work that outlast a call of this span, in which it is issued, too, within bounds."""
    return min(max(1.5 * span, SHORTEST_QUEUE), LONGEST_QUEUE)


SHORTEST_QUEUE, LONGEST_QUEUE = 5e-3, 100e-3
"""Seconds. Before the longest is over, whoever still issues has filled the launch queue."""


class BehindClock:
    """Behind queued device work, as in a server: how long the call holds the host.

    A sync costs microseconds on an idle stream; here it waits for the queue to drain, and `seconds` is what such a sync
    costs a server. So is a launch beyond those that the launch queue holds: it waits for room.
    """

    def __init__(self, span: float) -> None:
        """`span` is that of a warm call of the reference tower, which the queue outlasts."""
        self.queue_seconds = queue_for(span)
        cycles_per_second()  # before anything counts

    def queue(self) -> None:
        """Put the work on the stream."""
        occupy(self.queue_seconds)

    def __call__(self, call: Call) -> Reading:
        torch.cuda.synchronize()
        self.queue()
        begin = time.perf_counter()
        output = call()
        held = time.perf_counter() - begin
        torch.cuda.synchronize()
        return Reading(output, held, held)


def clock_for(device: str) -> Clock:
    """The clock of "cpu" or "cuda"."""
    return event_clock if device == "cuda" else wall_clock
