"""The torch profiler: a trace with the stages as ranges, and how long a GPU is busy in one call.

Both read the profiler's raw records: 2 us each, where torch's own events take 50, and a forward has some 100,000.

A range by `record_function` costs microseconds, whether anyone profiles or not; the form that torch.compile's own code
uses costs less than one. With `record_shapes` on, its scope makes it an annotation in the trace like the former.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from vlbench.errors import UsageError
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
    Raises UsageError for a torch whose profiler keeps no raw records.
    """
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    if cuda:
        warm_profiler()
    with profile(activities=activities, record_shapes=True) as profiler, listen(Ranges(torch_range)):
        for _ in range(forwards):
            with stage("iteration"):
                call()
    profiler.export_chrome_trace(str(file))
    records = raw_records(profiler)
    if records is None:
        raise UsageError(f"the profiler of torch {torch.__version__} keeps no raw records; use torch 2.11 to 2.13")
    return operators(records)


def raw_records(profiler: Any) -> Sequence[Any] | None:
    """What a `profile` that has ended recorded, as kineto has it: `_KinetoEvent` in torch/_C/_autograd.pyi.

    None where this torch keeps nothing of the kind.
    """
    results = getattr(profiler.profiler, "kineto_results", None)
    return None if results is None else results.events()


@dataclass(slots=True, eq=False)
class _Call:
    name: str
    thread: int
    start: int
    end: int
    parent: "_Call | None" = None
    children: int = 0

    def holds(self, other: "_Call") -> bool:
        return self.thread == other.thread and other.start < self.end and other.end <= self.end

    @property
    def is_parents(self) -> bool:
        """Is it all that one of the same name calls? Then torch takes both for one."""
        return self.parent is not None and self.parent.children == 1 and self.parent.name == self.name


UNCOUNTED = {
    *("[memory]", "[OutOfMemory]", "aten::is_leaf", "aten::output_nr", "aten::_version"),
    *(f"profiler::_record_function_{end}" for end in ("enter", "enter_new", "exit")),
}
"""Records that torch leaves out of what it shows (torch/autograd/profiler_util.py)."""


def operators(records: Iterable[Any]) -> list[Operator]:
    """The aten operations among raw records, the longest own time first: the figures of torch's `key_averages`."""
    host = [one for one in records if one.device_type() == DeviceType.CPU and one.name() not in UNCOUNTED]
    # CUDA's own calls are of the thread of the operation that made them.
    threads = {one.correlation_id(): one.start_thread_id() for one in host if not one.linked_correlation_id()}
    calls = [
        _Call(one.name(), threads.get(one.linked_correlation_id(), one.start_thread_id()), one.start_ns(), one.end_ns())
        for one in host
    ]
    own, opened = Counter[str](), list[_Call]()
    for call in sorted(calls, key=lambda one: (one.thread, one.start, -one.end)):
        while opened and not opened[-1].holds(call):
            opened.pop()
        own[call.name] += call.end - call.start
        if opened:
            call.parent = opened[-1]
            call.parent.children += 1
            own[call.parent.name] -= call.end - call.start
        opened.append(call)
    times = Counter(call.name for call in calls if call.name.startswith("aten::") and not call.is_parents)
    found = [Operator(name.removeprefix("aten::"), count, own[name] * 1e-9) for name, count in times.items()]
    return sorted(found, key=lambda one: -one.own_seconds)


def gpu_busy_seconds(call: Callable[[], object]) -> float | None:
    """Seconds in which a kernel, copy or fill ran on the GPU during `call`; None where the profiler saw nothing.

    A pass of its own, never a timed one: the profiler slows the host down. What is busy does not change by that.
    """
    spans = [(one.start_ns(), one.end_ns()) for one in _gpu_work(call)]
    return union(spans) * 1e-9 if spans else None


NO_KERNEL = ("Memcpy", "Memset")
"""How the names of copies and fills begin."""


def first_kernel_seconds(call: Callable[[], object], queue: Callable[[], None]) -> float | None:
    """Seconds from the end of the kernel that `queue` puts on the stream to the first kernel of `call`, in such a pass.

    None where the profiler saw no kernel of it. Whoever waits for the queue launches a kernel only then, and that host
    time is the longer for being profiled.
    """

    def behind() -> None:
        queue()
        call()

    kernels = sorted(
        (one.start_ns(), one.end_ns()) for one in _gpu_work(behind) if not one.name().startswith(NO_KERNEL)
    )
    return max(0, kernels[1][0] - kernels[0][1]) * 1e-9 if len(kernels) > 1 else None


def _gpu_work(call: Callable[[], object]) -> list[Any]:
    """The records of what ran on the GPU; annotations that are drawn around that are no work."""
    warm_profiler()
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        call()
        torch.cuda.synchronize()
    records = raw_records(profiler) or ()
    return [one for one in records if one.device_type() == DeviceType.CUDA and not one.is_user_annotation()]


@cache
def warm_profiler() -> None:
    """The first profile of a process may begin before the driver tells of kernels: on CUDA it is one of nothing."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]):
        torch.zeros(1, device="cuda").add_(1)
        torch.cuda.synchronize()


def union(spans: Iterable[tuple[float, float]]) -> float:
    """The length that the intervals cover together."""
    covered, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        if end > reached:
            covered += end - max(start, reached)
            reached = end
    return covered
