"""What fp8 would do to the results: operands are rounded to e4m3 and back, and computed with in the model's dtype.

It costs time and saves none: it shows the error of fp8 on any device. What fp8 is worth, only a GPU's kernels tell.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from .seam import Exactness, Seam

FP8 = torch.float8_e4m3fn
MOST = torch.finfo(FP8).max


def rounded(x: Tensor, *, by_row: bool) -> Tensor:
    """x as e4m3 holds it, scaled so that the largest magnitude of each row, or of all of x, is the largest of fp8."""
    wide = x.float()
    largest = wide.abs().amax(-1, keepdim=True) if by_row else wide.abs().amax()
    scale = largest.clamp(min=1e-12) / MOST
    return ((wide / scale).to(FP8).float() * scale).to(x.dtype)


class _Linears(TorchFunctionMode):
    """Inside, the operands of each linear are rounded: a scale for each token, and for each output of the weight.

    A linear that writes into memory of its caller is torch.addmm on the transposed weight.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.linear:
            x, weight, *bias = args
            args = (rounded(x, by_row=True), rounded(weight, by_row=True), *bias)
        elif func is torch.addmm:
            into, x, columns = args
            args = (into, rounded(x, by_row=True), rounded(columns.T, by_row=True).T)
        return func(*args, **(kwargs or {}))


Linears = Callable[[], AbstractContextManager[object]]
"""Makes what the blocks run in."""

linear_precision: Seam[Linears] = Seam("linear precision")


@linear_precision.naive
def linears_as_they_are() -> AbstractContextManager[object]:
    """In the model's dtype."""
    return nullcontext()


@linear_precision.optimization(
    "fp8-linear",
    removes="nothing here: the linears of the blocks are rounded as fp8 would round them, which shows its error",
    exactness=Exactness.RESULT_CHANGING,
    source="dynamic fp8 of vLLM, a scale for each token and each output; SGLang #10112",
)
def linears_in_fp8() -> AbstractContextManager[object]:
    """Of the blocks, and of deepstack's mergers between them; the patch embedding and the last merger are left."""
    return _Linears()


Narrow = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
"""q, k and v of one layer as attention takes them."""

attention_precision: Seam[Narrow] = Seam("attention precision")


@attention_precision.naive
def attention_as_it_is(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """In the model's dtype."""
    return q, k, v


@attention_precision.optimization(
    "fp8-attention",
    removes="nothing here: q, k and v, not the probabilities, are rounded as fp8 would, which shows its error",
    exactness=Exactness.RESULT_CHANGING,
    source="vLLM #38065, a scale for each tensor; SGLang #26211",
)
def attention_in_fp8(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """After the rotation."""
    return rounded(q, by_row=False), rounded(k, by_row=False), rounded(v, by_row=False)
