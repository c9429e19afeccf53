"""`rope-triton`: q and k turn where they lie in the fused projection."""

from __future__ import annotations

from torch import Tensor

from ...config import VisionConfig
from ...operators import operator
from ..layout import Keep, Layout, WithViews
from ..rope import CosSin, Rope
from ..rotary import rotate, rotation
from ..seam import Exactness
from ..traffic import Traffic
from .launch import ON_A_CPU, ON_A_GPU, block, launch, require

FLAG = "rope-triton"
HEAD_DIMS = (64, 72, 80)
"""Those of the released towers."""


def with_known_heads(config: VisionConfig, device: str) -> str | None:
    """For a kernel that was compiled and tested for some sizes of heads."""
    if config.head_dim in HEAD_DIMS:
        return None
    *most, last = HEAD_DIMS
    known = f"{', '.join(map(str, most))} or {last}"
    return f"its kernel is for a head_dim of {known}, and {config.name} has {config.head_dim}"


def turn(qkv: Tensor, cos: Tensor, sin: Tensor, heads: int) -> None:
    """Rotate the q and k of qkv [N, 3 * C] in place, in fp32: element d of a head with d + head_dim / 2.

    cos and sin are [N, head_dim / 2]. Raises ValueError for any other layout: tiled to head_dim, repeated, transposed.
    """
    patches, width = qkv.shape
    half = width // (6 * heads)
    need = f"one value for each of {half} pairs that a head of {2 * half} elements has, of each of {patches} patches"
    require(need, (patches, half), {"cos": cos, "sin": sin})
    require("the fused projection", (patches, 6 * heads * half), {"qkv": qkv})
    _turn(qkv, cos, sin, heads)


def turn_plainly(qkv: Tensor, cos: Tensor, sin: Tensor, heads: int) -> None:
    """In plain torch."""
    q_and_k = qkv[:, : qkv.shape[1] // 3 * 2].view(qkv.shape[0], 2 * heads, -1)
    q_and_k.copy_(rotate(q_and_k, CosSin(cos.float(), sin.float()), WithViews()))


def turn_on_gpu(qkv: Tensor, cos: Tensor, sin: Tensor, heads: int) -> None:
    """One program a patch."""
    patches, half = cos.shape
    blocks = {"block_heads": block(2 * heads), "block_half": block(half)}
    launch("rotation.rotate", FLAG, patches, qkv, cos, sin, qkv.stride(0), heads=2 * heads, half=half, **blocks)


_turn = operator(
    "turn_(Tensor(a!) qkv, Tensor cos, Tensor sin, int heads) -> ()",
    plain=turn_plainly,
    gpu=turn_on_gpu,
    fake=lambda qkv, cos, sin, heads: None,
)


def traffic(config: VisionConfig, patches: int, element: int) -> Traffic:
    """q and k are read and written once, cos and sin read once: no kernel needs less."""
    moved = patches * (4 * config.hidden_size * element + config.head_dim * 4)
    return Traffic(moved, moved)


@rotation.optimization(
    FLAG,
    removes=f"every operation of a layer's rotation but one kernel, which works in place; {ON_A_CPU}",
    exactness=Exactness.BIT_EXACT,
    source="SGLang #6530, #10527; flash-attention's ops/triton/rotary.py; TensorRT-LLM #11943",
    applies=(with_known_heads,),
    traffic=traffic,
    note=ON_A_GPU,
)
def rotate_in_place(qkv: Tensor, rope: Rope, layout: Layout, keep: Keep, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """q and k in the memory of the projection, which nobody needs unrotated."""
    half = rope.cos_sin()
    turn(qkv, half.cos, half.sin, heads)
    q, k, v = (keep(part) for part in layout.split(qkv, heads))
    return q, k, v
