"""How q, k and v are laid out between the fused projection and attention."""

from __future__ import annotations

from collections.abc import Callable

import torch
from einops import rearrange, repeat
from torch import Tensor

from .seam import Exactness, Seam

layout: Seam[type[Layout]] = Seam("layout")


@layout.naive
class Layout:
    """q, k and v as [1, N, heads, head_dim]: einops on every step, and a batch dimension of one that means nothing."""

    token_dim = 1

    def split(self, qkv: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
        """Views of the fused projection [N, 3 * C]."""
        parts = rearrange(qkv, "s (three h d) -> three s 1 h d", three=3, h=heads)
        q, k, v = (rearrange(part, "s b h d -> b s h d") for part in parts.unbind(0))
        return q, k, v

    def tile(self, half: Tensor) -> Tensor:
        """cos or sin [N, head_dim / 2] as [N, 1, head_dim]: the same row for both halves of a head."""
        return repeat(half, "n d -> n 1 (2 d)")

    def span(self, x: Tensor, start: int | Tensor, stop: int | Tensor) -> Tensor:
        """The tokens of one segment."""
        return x[:, start:stop]

    def heads_first(self, x: Tensor) -> Tensor:
        """To [1, heads, tokens, head_dim], as SDPA wants it."""
        return rearrange(x, "b s h d -> b h s d")

    def heads_last(self, x: Tensor) -> Tensor:
        """Back from heads_first."""
        return rearrange(x, "b h s d -> b s h d")

    def merge(self, x: Tensor) -> Tensor:
        """To [N, C]."""
        return rearrange(x, "b s h d -> s b (h d)").contiguous().squeeze(1)


@layout.optimization(
    "no-einops",
    removes="Python time of einops' look-ups and a fake batch dimension; most plans of cuDNN on changing grids",
    exactness=Exactness.BIT_EXACT,
    source="transformers; TensorRT-LLM",
)
class WithViews(Layout):
    """q, k and v as views [N, heads, head_dim]."""

    token_dim = 0

    def split(self, qkv: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = qkv.view(qkv.shape[0], 3, heads, -1).unbind(1)
        return q, k, v

    def tile(self, half: Tensor) -> Tensor:
        return torch.cat((half, half), dim=-1).unsqueeze(1)

    def span(self, x: Tensor, start: int | Tensor, stop: int | Tensor) -> Tensor:
        return x[start:stop]

    def heads_first(self, x: Tensor) -> Tensor:
        return x.transpose(0, 1).unsqueeze(0)

    def heads_last(self, x: Tensor) -> Tensor:
        return x.squeeze(0).transpose(0, 1)

    def merge(self, x: Tensor) -> Tensor:
        return x.flatten(1)


Keep = Callable[[Tensor], Tensor]
qkv_copies: Seam[Keep] = Seam("qkv copies")


@qkv_copies.naive
def contiguous(part: Tensor) -> Tensor:
    """q, k and v each copied out of the fused projection."""
    return part.contiguous()


@qkv_copies.optimization(
    "strided-qkv",
    removes="three copies of the size of the hidden states in every layer: rope and SDPA read strides",
    exactness=Exactness.BIT_EXACT,
    source="SGLang #35336",
)
def strided(part: Tensor) -> Tensor:
    """q, k and v as they lie in the fused projection."""
    return part
