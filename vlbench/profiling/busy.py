"""How long a GPU is busy in one call: the union of its kernels, copies and fills, by the torch profiler.

A pass of its own, never a timed one: the profiler slows the host down. What is busy does not change by that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch


def gpu_busy_seconds(call: Callable[[], object]) -> float | None:
    """Seconds in which at least one thing ran on the GPU during `call`; None where the profiler saw nothing."""
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=activities) as profile:
        call()
        torch.cuda.synchronize()
    on_device = (event for event in profile.events() if event.device_type.name == "CUDA")
    spans = [(event.time_range.start, event.time_range.end) for event in on_device]
    return union(spans) * 1e-6 if spans else None  # the profiler counts in microseconds


def union(spans: Iterable[tuple[float, float]]) -> float:
    """The length that the intervals cover together."""
    covered, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        if end > reached:
            covered += end - max(start, reached)
            reached = end
    return covered
