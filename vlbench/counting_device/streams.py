"""CUDA streams, events and graphs where there is no CUDA.

Streams and events order nothing, but waiting for one is a host sync. Graphs are refused. All of them are classes, as in
torch, because code names them in its type annotations.
"""

from __future__ import annotations

from typing import Any, NoReturn

from vlbench.counting_device.scope import current
from vlbench.errors import UsageError


class Stream:
    """Stands in for `torch.cuda.Stream`: one order of work, so other streams need no waiting."""

    device_index, stream_id, cuda_stream = 0, 0, 0

    def __init__(self, device: Any = None, priority: int = 0, **kwargs: Any) -> None:
        self.priority = priority

    def synchronize(self) -> None:
        current().transfer("synchronize", "torch.cuda.Stream.synchronize")

    def query(self) -> bool:
        return True

    def wait_stream(self, stream: Any) -> None:
        """The device waits, not the host."""

    def wait_event(self, event: Any) -> None:
        """The device waits, not the host."""

    def record_event(self, event: Any = None) -> Any:
        return event or Event()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *error: Any) -> None:
        return None


class Event:
    """Stands in for `torch.cuda.Event`."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False, **kwargs: Any) -> None:
        self.enable_timing = enable_timing
        self._asked = False

    def record(self, stream: Any = None) -> None:
        """Marks a place in the stream: nothing the host waits for."""
        self._asked = False

    def wait(self, stream: Any = None) -> None:
        """The device waits, not the host."""

    def query(self) -> bool:
        """Not yet, then yes: who asks until it is so has waited."""
        if self._asked:
            current().transfer("synchronize", "torch.cuda.Event.query")
        self._asked = not self._asked
        return not self._asked

    def synchronize(self) -> None:
        current().transfer("synchronize", "torch.cuda.Event.synchronize")

    def elapsed_time(self, end: Any) -> NoReturn:
        raise UsageError("torch.cuda.Event.elapsed_time: the counting device counts and has no time; use a real GPU.")


class NoGraph:
    """Stands in for `torch.cuda.CUDAGraph`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise UsageError(
            "CUDA graphs cannot be captured on the counting device; put the replay behind an operator of your own "
            "(torch.library) and declare that operator."
        )


class NoCapture(NoGraph):
    """Stands in for `torch.cuda.graph`."""


def stream_context(stream: Any) -> Stream:
    """`with torch.cuda.stream(s):`, where no stream means the current one."""
    return stream if stream is not None else Stream()
