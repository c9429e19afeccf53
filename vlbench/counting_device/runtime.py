"""CUDA's runtime below `torch.cuda`: `torch.cuda.cudart()`, and the wait that torch's own C++ offers."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import torch

from vlbench.counting_device.scope import Scope
from vlbench.record.directions import words_of

_SUCCESS = 0
_WAITS_FOR_NOTHING = words_of(
    "cudaProfilerStart cudaProfilerStop cudaHostRegister cudaHostUnregister cudaStreamCreate cudaStreamDestroy"
)


class Runtime:
    """Stands in for the module `torch.cuda.cudart()`: each function of it that nobody here knows counts as a wait."""

    cudaError = SimpleNamespace(success=_SUCCESS)  # noqa: N815  # the runtime's own names

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def cudaGetErrorString(self, error: int) -> str:  # noqa: N802
        """In words; there is none but success."""
        return "no error" if error == _SUCCESS else "unrecognized error code"

    def cudaMemGetInfo(self, device: int) -> tuple[int, int]:  # noqa: N802
        """Bytes that are free, and all."""
        free, total = torch.cuda.mem_get_info(device)
        return free, total

    def __getattr__(self, name: str) -> Callable[..., int]:
        if not name.startswith("cuda"):
            raise AttributeError(name)

        def call(*args: Any) -> int:
            if name not in _WAITS_FOR_NOTHING:
                self._scope.transfer("synchronize", f"torch.cuda.cudart().{name}")
            return _SUCCESS

        return call


def runtime(scope: Scope) -> Iterator[tuple[object, str, Any]]:
    """What answers in its place."""
    yield torch.cuda, "_cudart", Runtime(scope)
    yield torch._C, "_cuda_synchronize", lambda: scope.transfer("synchronize", "torch._C._cuda_synchronize")
