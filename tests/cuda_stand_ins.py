"""What a GPU has and the counting device has not: a clock, a queue, a profiler and a board. For tests without a GPU.

`cuda()` opens the counting device in shadow mode, so that everything is computed on the CPU, and puts all of it in
place. A process with the folder ON_CUDA on its PYTHONPATH is in there from its start to its end.
"""

# ruff: noqa: N802 (names are NVML's)

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace, TracebackType
from typing import Any
from unittest.mock import patch

import pynvml
import torch
from torch import Tensor
from torch._C._autograd import DeviceType

from vlbench.counting_device import CountingDevice, answers
from vlbench.counting_device.tensor import DeviceTensor
from vlbench.implementations import output
from vlbench.profiling import trace
from vlbench.trial import seam_bench
from vlbench.trial.clock import SYNCHRONIZE

ON_CUDA = Path(__file__).parent / "on_cuda"

UUID = "11111111-2222-3333-4444-555555555555"
OTHER_UUID = "99999999-2222-3333-4444-555555555555"

ANSWERS: dict[Any, Any] = {
    "nvmlDeviceGetEnforcedPowerLimit": 700_000,
    "nvmlDeviceGetBoardPartNumber": "699-2G520-0200-000",
    "nvmlDeviceGetMigMode": [0, 0],
    "nvmlDeviceGetCurrentClocksEventReasons": 0x4,
}
"""What a board answers, by function and further arguments."""
IDLE = 0x1
"""The reason for a low clock that is none to worry about."""
CYCLES_PER_SECOND = 1e9
BUSY = 0.8
"""Share of a profiled call in which the profiler sees a kernel."""


@contextmanager
def cuda(profile: str = "sm_90", *, throttled: bool = False) -> Iterator[CountingDevice]:
    """Within this block "cuda" is a GPU that computes on the CPU, takes time, and has a queue, a profiler and a board.

    Time is that of the module `time`, whatever stands in its place (`VirtualTime`).
    """
    queue = Queue()
    board = ANSWERS | {"nvmlDeviceGetCurrentClocksEventReasons": 0x4 if throttled else IDLE}
    with CountingDevice("shadow", profile) as device, ExitStack() as stack:
        seen = SimpleNamespace(**vars(device._scope.profile), uuid=UUID)
        for target, name, value in (
            (device._scope, "transfer", _waiting(queue, device._scope.transfer)),
            (torch.cuda, "_sleep", lambda cycles: queue.add(cycles / CYCLES_PER_SECOND)),
            (torch.cuda, "Event", type("Event", (Event,), {"queue": queue})),
            (torch.cuda, "get_device_properties", lambda device=None: seen),
            (trace, "profile", partial(Profiler, queue)),
            (output, "held", _held),
            (seam_bench, "held", _held),
        ):
            stack.enter_context(patch.object(target, name, value))
        # Bound when its module was imported, which may have been before.
        stack.enter_context(patch.dict(SYNCHRONIZE, cuda=lambda: torch.cuda.synchronize()))
        sys.modules["pynvml"] = FakeNvml({f"GPU-{UUID}": board})  # patch.dict would forget what is imported meanwhile
        stack.callback(sys.modules.__setitem__, "pynvml", pynvml)
        yield device


def _held(parts: Mapping[str, object], *kinds: type[Tensor], held: Any = output.held) -> output.Parts:
    """The tensors of this GPU are no plain ones, which is asked of those of a real one."""
    found: output.Parts = held(parts, *kinds, DeviceTensor)
    return found


class Queue:
    """What was asked of the GPU and takes time there. All computing is done by the host, at once."""

    def __init__(self) -> None:
        self._free_at = 0.0
        self.added: list[tuple[float, float]] = []
        """When each began and ended."""

    def add(self, seconds: float) -> None:
        """So much work more."""
        begin = self.reached()
        self._free_at = begin + seconds
        self.added.append((begin, self._free_at))

    def reached(self) -> float:
        """When the GPU comes to what is asked now."""
        return max(time.perf_counter(), self._free_at)

    def wait(self, until: float | None = None) -> None:
        """The host waits, for all or for what the GPU comes to at `until`."""
        time.sleep(max(0.0, (self._free_at if until is None else until) - time.perf_counter()))


def _waiting(queue: Queue, transfer: Callable[..., None]) -> Callable[..., None]:
    """`Scope.transfer`, through which all waits go, as a host does it that waits for the queue."""

    def waiting(event: str, *rest: Any, blocking: bool = True, until: int | None = None, **more: Any) -> None:
        if blocking and until is None:  # the counting device knows which event it is, and that has waited itself
            queue.wait()
        transfer(event, *rest, blocking=blocking, until=until, **more)

    # Nobody's line: the counting device would name it as the one that waits.
    waiting.__code__ = waiting.__code__.replace(co_filename="<frozen stand-ins>")
    return waiting


class Event(answers.Event):
    """An event that knows when the GPU came to it."""

    queue: Queue

    def record(self, stream: Any = None) -> None:
        super().record(stream)
        self.at = self.queue.reached()

    def synchronize(self) -> None:
        self.queue.wait(self.at)
        super().synchronize()

    def elapsed_time(self, end: Any) -> float:  # type: ignore[override]
        """Milliseconds."""
        return float(end.at - self.at) * 1e3


@dataclass(frozen=True)
class Record:
    """One of kineto's raw records, as `torch._C._autograd._KinetoEvent` gives its fields."""

    label: str
    start: int
    end: int
    device: Any = DeviceType.CUDA
    annotation: bool = False

    def name(self) -> str:
        return self.label

    def device_type(self) -> Any:
        return self.device

    def start_ns(self) -> int:
        return self.start

    def end_ns(self) -> int:
        return self.end

    def is_user_annotation(self) -> bool:
        return self.annotation


class Profiler:
    """Stands in for `torch.profiler.profile`: it sees what is added to the queue, then one kernel for all else that
    happens, and an annotation around it."""

    def __init__(self, queue: Queue, activities: Any = None, **options: Any) -> None:
        self._queue = queue
        self._records: list[Record] = []

    @property
    def profiler(self) -> Any:
        """What has the raw records in it."""
        return SimpleNamespace(kineto_results=SimpleNamespace(events=lambda: self._records))

    def __enter__(self) -> Profiler:
        self._start = round(self._queue.reached() * 1e9)
        return self

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        end = round(self._queue.reached() * 1e9)
        added = [(round(begin * 1e9), round(until * 1e9)) for begin, until in self._queue.added]
        spins = [Record("spin_kernel", begin, until) for begin, until in added if begin >= self._start]
        begin = max((spin.end for spin in spins), default=self._start)
        self._records = [
            Record("iteration", self._start, end, annotation=True),
            *spins,
            Record("a kernel", begin, begin + round(BUSY * (end - begin))),
            Record("cudaLaunchKernel", self._start, end, DeviceType.CPU),
        ]


@dataclass
class VirtualTime:
    """Within this block time stands still but for those who sleep: what takes minutes is over in a moment."""

    at: float = field(default_factory=time.monotonic)

    def __enter__(self) -> VirtualTime:
        self._stack = ExitStack()
        for name in ("monotonic", "perf_counter"):
            self._stack.enter_context(patch.object(time, name, lambda: self.at))
        self._stack.enter_context(patch.object(time, "perf_counter_ns", lambda: round(self.at * 1e9)))
        self._stack.enter_context(patch.object(time, "sleep", self.sleep))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def sleep(self, seconds: float) -> None:
        """It passes."""
        self.at += seconds


class FakeNvml(ModuleType):
    """Stands in for the module pynvml. A board that has no answer raises NVMLError, as the real one does."""

    def __init__(
        self, boards: Mapping[str, Mapping[Any, Any]], *, starts: bool = True, without: frozenset[str] = frozenset()
    ) -> None:
        """`boards`: answers by UUID with prefix. `without`: functions that the binding does not have yet."""
        super().__init__("pynvml")
        self.boards = boards
        self.starts = starts
        self.without = without

    def nvmlInit(self) -> None:
        if not self.starts:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.65.06"

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Mapping[Any, Any]:
        if uuid not in self.boards:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return self.boards[uuid]

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, handle: Mapping[Any, Any]) -> Mapping[Any, Any]:
        return self.boards[handle["parent"]]

    def __getattr__(self, name: str) -> Any:
        if name in self.without:
            raise AttributeError(name)
        real = getattr(pynvml, name)
        return self._answering(name) if name.startswith("nvmlDeviceGet") else real

    @staticmethod
    def _answering(name: str) -> Callable[..., Any]:
        def answer(handle: Mapping[Any, Any], *about: Any) -> Any:
            question = (name, *about) if about else name
            if question not in handle:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
            return handle[question]

        return answer
