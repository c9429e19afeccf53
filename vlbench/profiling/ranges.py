"""A listener that marks the stages as ranges of the torch profiler, for use while it profiles.

`record_function` costs microseconds a range, whether anyone profiles or not; the form that torch.compile's own code
uses costs less than one. With `record_shapes` on, its scope makes it an annotation in the trace like the former.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

_FAST = getattr(torch._C._profiler, "_RecordFunctionFast", None)


def torch_range(name: str) -> AbstractContextManager[Any]:
    """A range of the torch profiler, of the cheapest kind that this torch has."""
    if _FAST is None:
        return torch.profiler.record_function(name)
    made: AbstractContextManager[Any] = _FAST(name, keyword_values={"scope": "user_scope"})
    return made


class TorchRanges:
    """Opens a range of the torch profiler for every stage."""

    def __init__(self) -> None:
        self._open: list[AbstractContextManager[Any]] = []

    def enter(self, name: str) -> None:
        opened = torch_range(name)
        opened.__enter__()
        self._open.append(opened)

    def exit(self, name: str) -> None:
        self._open.pop().__exit__(None, None, None)
