"""What kind of device operation a call is: dtype and size of its arguments, as coarse as kernels are chosen by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

STEP = 16
"""Sizes are told apart by powers of this."""


def size_class(elements: int) -> int:
    """`elements` rounded up to a power of `STEP`; 0 for none."""
    size = 1
    while size < elements:
        size *= STEP
    return size if elements else 0


def dtype_and_size(arguments: Iterable[Any]) -> tuple[str, int]:
    """Dtype of the first tensor ("list" for a list of them, "none" without any), size class of the largest."""
    dtype, largest = "", 0
    for argument in arguments:
        if isinstance(argument, Tensor):
            dtype = dtype or str(argument.dtype).removeprefix("torch.")
            largest = max(largest, argument.numel())
        elif isinstance(argument, (list, tuple)) and any(isinstance(item, Tensor) for item in argument):
            dtype = dtype or "list"
            largest = max(largest, *(item.numel() for item in argument if isinstance(item, Tensor)))
    return dtype or "none", size_class(largest)
