"""How one call is timed: by the wall clock on a CPU, by events on a GPU."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

Call = Callable[[], object]
Clock = Callable[[Call], float]
"""Runs a call to its end and gives its seconds."""


def wall_clock(call: Call) -> float:
    start = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - start) * 1e-9


def event_clock(call: Call) -> float:
    """From the first to the last thing on the stream. What came before has ended first."""
    torch.cuda.synchronize()
    start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    start.record()
    call()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) * 1e-3


def clock_for(device: str) -> Clock:
    return event_clock if device == "cuda" else wall_clock
