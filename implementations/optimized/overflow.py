"""What becomes of hidden states that fp16 cannot hold: Qwen2.5-VL-3B has some in its last block, on long inputs."""

from collections.abc import Callable

import torch
from torch import Tensor

from .seam import Exactness, Seam

MOST = torch.finfo(torch.float16).max
"""So that infinity alone is changed. vLLM stops 1,000 below, which takes finite values along."""

fp16_guard: Seam[Callable[[Tensor], Tensor]] = Seam("fp16 guard")


@fp16_guard.naive
def unguarded(x: Tensor) -> Tensor:
    """Infinity stays, and the merger's norm makes NaN of its whole token."""
    return x


@fp16_guard.optimization(
    "fp16-clamp",
    removes="no cost: one operation more in fp16, which makes infinity before the merger a number; finite ones stay",
    exactness=Exactness.BIT_EXACT,
    source="vLLM cast_overflow_tensors",
    note="it acts in float16 alone, and counts are of bfloat16, where nothing moves",
)
def clamped(x: Tensor) -> Tensor:
    """Hidden states [N, C] with the largest number of fp16 for infinity; all else as it was, and every other dtype."""
    return x.clamp(-MOST, MOST) if x.dtype is torch.float16 else x
