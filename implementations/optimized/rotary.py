"""How q and k are rotated: apart, or as one tensor of twice the heads."""

from collections.abc import Callable

import torch
from torch import Tensor

from .advice import InCapture
from .layout import Keep, Layout
from .rope import CosSin, Rope
from .seam import Exactness, Seam

Rotate = Callable[[Tensor, Rope, Layout, Keep, int], tuple[Tensor, Tensor, Tensor]]
"""(fused projection [N, 3 * C], rope, layout, keep, heads) to q, k, v, with q and k rotated."""

rotation: Seam[Rotate] = Seam("rope application")


def rotate_half(x: Tensor) -> Tensor:
    """A quarter turn of each pair: element d goes with d + head_dim / 2."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


def rotate(x: Tensor, rope: Rope, layout: Layout) -> Tensor:
    """Rotate x [..., N, heads, head_dim] in the precision of cos and sin: fp32, unless rope-lowp chose another."""
    half: CosSin = rope.cos_sin()
    cos, sin = layout.tile(half.cos), layout.tile(half.sin)
    wide = x.to(cos.dtype)
    return (wide * cos + rotate_half(wide) * sin).type_as(x)


@rotation.naive
def rotate_apart(qkv: Tensor, rope: Rope, layout: Layout, keep: Keep, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """q, then k."""
    q, k, v = (keep(part) for part in layout.split(qkv, heads))
    q = rotate(q, rope, layout)  # what is not needed any more is given back before k is rotated
    k = rotate(k, rope, layout)
    return q, k, v


@rotation.optimization(
    "rope-packed",
    removes="half of the rotation's operations and the copies of q and k: both turn in one call, at a higher peak",
    exactness=Exactness.BIT_EXACT,
    source="vLLM #24511; the zero-copy form of #51537",
    advice=(
        InCapture(
            "negation kernels",
            "the rotate-half chain runs as separate kernels in every layer, for q and for k",
            least=16,
            kernel=r"neg_kernel",
        ),
    ),
)
def rotate_packed(qkv: Tensor, rope: Rope, layout: Layout, keep: Keep, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """q and k as one tensor of twice the heads."""
    v = keep(layout.split(qkv, heads)[2])
    qk = qkv.view(qkv.shape[0], 3, heads, -1)[:, :2].flatten(1, 2)  # [N, 2 * heads, head_dim], a view
    q, k = rotate(qk, rope, layout).view(qkv.shape[0], 2, heads, -1).unbind(1)
    return q.view(v.shape), k.view(v.shape), v
