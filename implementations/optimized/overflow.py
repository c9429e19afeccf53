"""What becomes of hidden states that fp16 cannot hold: Qwen2.5-VL-3B has some in its last block, on long inputs."""

from collections.abc import Callable

import torch
from torch import Tensor

from .seam import Exactness, Seam

MOST = torch.finfo(torch.float16).max - 1000
"""With room for what the merger's norm adds up."""

fp16_guard: Seam[Callable[[Tensor], Tensor]] = Seam("fp16 guard")


@fp16_guard.naive
def unguarded(x: Tensor) -> Tensor:
    """Infinity stays, and the merger's norm makes NaN of its whole token."""
    return x


@fp16_guard.optimization(
    "fp16-clamp",
    removes="no cost: one operation more in fp16, by which a token that overflows before the merger stays a number",
    exactness=Exactness.BIT_EXACT,
    source="vLLM cast_overflow_tensors",
)
def clamped(x: Tensor) -> Tensor:
    """Hidden states [N, C] within what fp16 holds; the same where they were, and in every other dtype."""
    return x.clamp(-MOST, MOST) if x.dtype is torch.float16 else x
