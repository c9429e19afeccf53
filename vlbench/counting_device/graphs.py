"""CUDA graphs on the counting device: a capture ends on what it ends on there, and a replay is one operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import torch

from vlbench.counting_device.scope import current
from vlbench.counting_device.tape import Tape
from vlbench.errors import UsageError
from vlbench.record.capturable import BlockerKind
from vlbench.record.sequence import REPLAY

if TYPE_CHECKING:
    from vlbench.counting_device.where import Cause

POOL = (0, 0)
_NOT_PERMITTED = "CUDA error: operation not permitted when stream is capturing"
_NOT_PINNED = "Cannot copy between CPU and CUDA tensors during CUDA graph capture unless the CPU tensor is pinned"
_COPIES = ("aten::_to_copy", "aten::copy_")


class GraphError(RuntimeError):
    """What a GPU raises in a capture, with the line that did it."""


class CUDAGraph:
    """Stands in for `torch.cuda.CUDAGraph`: from `capture_begin` to `capture_end` what no graph holds is an error."""

    def __init__(self, keep_graph: bool = False) -> None:
        self._tape: Tape | None = None
        self._is_open = self._failed = False
        self._outside: Any = None

    def capture_begin(self, pool: Any = None, capture_error_mode: str = "global") -> None:
        """From here on operations are captured. Raises GraphError inside of another capture."""
        scope = current()
        if is_capturing():
            raise GraphError(f"{_NOT_PERMITTED}: a capture is under way already")
        self._outside, scope.capture = scope.capture, self
        self._tape, self._is_open, self._failed = Tape(), True, False
        self._tape.__enter__()  # type: ignore[no-untyped-call]

    def capture_end(self) -> None:
        """Up to here. Raises GraphError without a beginning, and where the capture had ended on something."""
        if not self._is_open or self._tape is None:
            raise GraphError("capture_end() without capture_begin()")
        self._is_open = False
        self._tape.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        current().capture = self._outside
        if self._failed:
            self._tape = None
            raise GraphError("CUDA error: operation failed due to a previous error during capture")

    def meet(self, kind: BlockerKind, operation: str, place: Cause, size: int) -> None:
        """Raises GraphError: this is what a capture ends on."""
        copies = operation in _COPIES and kind != "pinned allocation"
        self._failed = True
        raise GraphError(f"{_NOT_PINNED if copies else _NOT_PERMITTED}: {kind}, {operation} at {place.where}")

    def ask(self) -> None:
        """Work was asked of the device: it is on the tape."""

    def doubt(self, sentence: str) -> None:
        """What only some releases of torch refuse goes on here."""

    def replay(self) -> None:
        """All that was captured again, as one operation. Raises GraphError before anything was."""
        if self._tape is None or self._is_open:
            raise GraphError("replay() before capture_end()")
        current().operation(REPLAY)
        self._tape.replay()

    def reset(self) -> None:
        """Forget it."""
        self._tape = None

    def pool(self) -> tuple[int, int]:
        """Of memory: there is one."""
        return POOL

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        raise UsageError(
            f"torch.cuda.CUDAGraph.{name} is not known to the counting device; leave it out while counting"
        )


class graph:  # noqa: N801  # as torch has it
    """Stands in for `torch.cuda.graph`, which waits for the device before it begins."""

    def __init__(self, cuda_graph: CUDAGraph, *args: Any, **kwargs: Any) -> None:
        self._graph = cuda_graph

    def __enter__(self) -> None:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        self._graph.capture_begin()

    def __exit__(self, kind: object, *error: object) -> None:
        try:
            self._graph.capture_end()
        except GraphError:
            if kind is None:  # else the error that is under way says more
                raise


def is_capturing() -> bool:
    """Is a capture under way?"""
    return isinstance(current().capture, CUDAGraph)


def refuse_callables(*args: Any, **kwargs: Any) -> NoReturn:
    """In place of `torch.cuda.make_graphed_callables`, which needs gradients."""
    raise UsageError("torch.cuda.make_graphed_callables is not known to the counting device; use torch.cuda.graph")


GRAPHS = {
    "CUDAGraph": CUDAGraph,
    "graph": graph,
    "is_current_stream_capturing": is_capturing,
    "graph_pool_handle": lambda: POOL,
    "make_graphed_callables": refuse_callables,
}
"""By their names in `torch.cuda`."""
