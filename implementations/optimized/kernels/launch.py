"""How a kernel of `jit/` is run on a GPU, and what it moves in memory."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from ..seam import FlagError

ON_A_CPU = "a CPU runs plain torch: no claim of speed"
ON_A_GPU = "its Triton kernel was interpreted, compiled, and right on one GPU, an H200"
OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}
"""Products and sums are rounded apart, as those of separate operations are: the same bits, where the order is one."""


def kernel(name: str, flag: str) -> Any:
    """The kernel FILE.NAME of `jit/`. Raises FlagError where Triton is not installed."""
    file, _, function = name.partition(".")
    try:
        return getattr(import_module(f"{__package__}.jit.{file}"), function)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "triton":
            raise
        raise FlagError(
            f"{flag} needs Triton on a GPU, and it is not installed: pip install triton, or leave the flag out"
        ) from None


def launch(name: str, flag: str, programs: int, first: Tensor, *arguments: Any, **constants: int | bool) -> None:
    """Run so many programs of a kernel on the GPU of its first argument; none where there is nothing to do."""
    if programs:
        with torch.cuda.device_of(first):  # type: ignore[no-untyped-call]
            kernel(name, flag)[(programs,)](first, *arguments, **constants, **OPTIONS)


def block(size: int) -> int:
    """The power of two that holds it."""
    return 1 << (size - 1).bit_length()


def require(what: str, shape: Iterable[int], parts: dict[str, Tensor]) -> None:
    """Raises ValueError unless all parts have this shape, and their rows one after the other in memory."""
    for name, part in parts.items():
        if list(part.shape) != list(shape) or not part.is_contiguous():
            order = "" if part.is_contiguous() else " in another order"
            raise ValueError(f"{name} is {list(part.shape)}{order}; give {what}, {list(shape)}, row after row")
