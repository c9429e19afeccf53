"""The torch profiler: a trace with the stages as ranges, and how long a GPU is busy in one call.

A range by `record_function` costs microseconds, whether anyone profiles or not; the form that torch.compile's own code
uses costs less than one. With `record_shapes` on, its scope makes it an annotation in the trace like the former.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from vlbench.implementations.stage import Ranges, listen, stage

_FAST = getattr(torch._C._profiler, "_RecordFunctionFast", None)


def torch_range(name: str) -> AbstractContextManager[Any]:
    """A range of the torch profiler, of the cheapest kind that this torch has."""
    if _FAST is None:
        return torch.profiler.record_function(name)
    made: AbstractContextManager[Any] = _FAST(name, keyword_values={"scope": "user_scope"})
    return made


@dataclass(frozen=True)
class Operator:
    """One aten operation on the host, over the whole trace."""

    name: str
    calls: int
    own_seconds: float
    """Without the operations that it calls."""


def record_trace(call: Callable[[], object], forwards: int, file: Path, *, cuda: bool) -> list[Operator]:
    """Profile `forwards` calls, each a range `iteration`, and write the trace; `file` ends in .json or .json.gz.

    Returns what ran on the host, the longest own time first. Times are those of a profiled run: longer than usual.
    """
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=activities, record_shapes=True) as profiler, listen(Ranges(torch_range)):
        for _ in range(forwards):
            with stage("iteration"):
                call()
    profiler.export_chrome_trace(str(file))
    averages = [one for one in profiler.key_averages() if one.key.startswith("aten::")]
    found = [Operator(one.key.removeprefix("aten::"), one.count, one.self_cpu_time_total * 1e-6) for one in averages]
    return sorted(found, key=lambda one: -one.own_seconds)


def gpu_busy_seconds(call: Callable[[], object]) -> float | None:
    """Seconds in which a kernel, copy or fill ran on the GPU during `call`; None where the profiler saw nothing.

    A pass of its own, never a timed one: the profiler slows the host down. What is busy does not change by that.
    """
    activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA]
    torch.cuda.synchronize()
    with profile(activities=activities) as profiler:
        call()
        torch.cuda.synchronize()
    on_device = (event for event in profiler.events() if event.device_type.name == "CUDA")
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
