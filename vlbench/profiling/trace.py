"""A trace by the torch profiler: operations and, on a GPU, calls, kernels and copies, with the stages as ranges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch.profiler import ProfilerActivity, profile

from vlbench.implementations.stage import listen, stage
from vlbench.profiling.ranges import TorchRanges


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
    with profile(activities=activities, record_shapes=True) as profiler, listen(TorchRanges()):
        for _ in range(forwards):
            with stage("iteration"):
                call()
    profiler.export_chrome_trace(str(file))
    averages = [one for one in profiler.key_averages() if one.key.startswith("aten::")]
    found = [Operator(one.key.removeprefix("aten::"), one.count, one.self_cpu_time_total * 1e-6) for one in averages]
    return sorted(found, key=lambda one: -one.own_seconds)
