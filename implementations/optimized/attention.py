"""Attention inside segments: one SDPA call per segment, or one per run of equal segments."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..config import VisionConfig
from .advice import InCapture
from .fp8 import attention_precision
from .layout import Layout, layout, qkv_copies
from .rope import Rope
from .rotary import rotation
from .seam import Exactness, FlagSet, Seam, with_cudnn
from .segments import Segments
from .windows import permute_cells

attention: Seam[type[SegmentList]] = Seam("attention")


@attention.naive
class SegmentList:
    """One SDPA call per segment, a list and a concatenation."""

    wants_runs = False
    """Does it profit from equal segments standing side by side?"""
    reads_bounds = False
    """Does it want the bounds on the device, wherever else they are?"""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, segments: Segments, layout: Layout) -> Tensor:
        """softmax(q k^T / sqrt(head_dim)) v inside each segment; q, k, v and the result in the layout's shape."""
        bounds, outputs = segments.bounds, []
        for i in range(1, len(bounds)):
            start, stop = bounds[i - 1], bounds[i]
            q_i, k_i, v_i = (layout.heads_first(layout.span(part, start, stop)) for part in (q, k, v))
            outputs.append(layout.heads_last(F.scaled_dot_product_attention(q_i, k_i, v_i)))
        return torch.cat(outputs, dim=layout.token_dim)


@attention.optimization(
    "sdpa-prealloc",
    removes="the concatenation of segment outputs, for a slice copy each, and two waits where bounds are on the device",
    exactness=Exactness.BIT_EXACT,
    source="an agent's patch to vLLM's Qwen2-VL, 2025 (which gained nothing)",
)
class PreallocatedOutput(SegmentList):
    """Two more syncs per segment than the list where bounds live on the device: the output is sliced by them, too."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, segments: Segments, layout: Layout) -> Tensor:
        bounds, out = segments.bounds, torch.empty_like(q)
        for i in range(1, len(bounds)):
            start, stop = bounds[i - 1], bounds[i]
            q_i, k_i, v_i = (layout.heads_first(layout.span(part, start, stop)) for part in (q, k, v))
            result = layout.heads_last(F.scaled_dot_product_attention(q_i, k_i, v_i))
            layout.span(out, start, stop).copy_(result)
        return out


@attention.optimization(
    "batched-windows",
    removes="all SDPA calls but one per run of equal segments: at most 9 a layer instead of one per window",
    exactness=Exactness.REASSOCIATED,
    source="vlbench; tt-metal #37866 is close",
    requires=("host-seqlens",),
    advice=(
        InCapture(
            "attention kernels",
            "windows of one size fit in one call",
            least=100,
            kernel=r"(?i)fmha|flash|sdpa|attention|softmax_?(?:warp_)?forward",
        ),
    ),
)
class EqualSegmentsTogether(SegmentList):
    """Windows of one size are a batch. A window is a x b cells with a, b in 1..4, so there are at most 9 sizes.

    Where equal windows do not stand side by side already (window-sort), q, k, v are gathered by size first.
    """

    wants_runs = True

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, segments: Segments, layout: Layout) -> Tensor:
        heads, head_dim = q.shape[-2:]
        rows = [part.view(-1, heads, head_dim) for part in (q, k, v)]
        outputs, done = [], 0
        for start, count, length in segments.runs:
            shape, stop = (count, length, heads, head_dim), start + count * length
            q_i, k_i, v_i = (part[start:stop].view(shape).transpose(1, 2) for part in rows)
            output = F.scaled_dot_product_attention(q_i, k_i, v_i).transpose(1, 2).flatten(0, 1)
            outputs.append(output if done <= start else output[done - start :])  # the run before it has the rest
            done = stop
        return (outputs[0] if len(outputs) == 1 else torch.cat(outputs)).view(v.shape)


Kernels = Callable[[], AbstractContextManager[object]]
"""Makes what a forward runs in, which says whose attention kernels it may have."""

kernels: Seam[Kernels] = Seam("attention kernels")


@kernels.naive
def as_torch_chooses() -> AbstractContextManager[object]:
    """Those that torch prefers: from 2.10 on cuDNN's, on Hopper and Blackwell in half precision."""
    return nullcontext()


@kernels.optimization(
    "sdpa-flash",
    removes="cuDNN's plans, one on the host for each new shape of an attention call: flash attention needs none",
    exactness=Exactness.REASSOCIATED,
    source="FunASR #3704, torchtune #1652; TORCH_CUDNN_SDPA_DEPRIORITIZED of torch",
    applies=(with_cudnn,),
)
def without_cudnn() -> AbstractContextManager[object]:
    """All but cuDNN's, in torch's order. Entered once a forward; it holds for the process, so for all its threads."""
    return sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH])


class Attention(nn.Module):
    """Projection, rotation, attention inside segments, projection; x [N, C] to [N, C]."""

    def __init__(self, config: VisionConfig, flags: FlagSet) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.layout = layout.way(flags)()
        self.keep = qkv_copies.way(flags)
        self.rotate = rotation.way(flags)
        self.narrow = attention_precision.chosen(flags)
        self.attend = attention.way(flags)()

    def forward(self, x: Tensor, segments: Segments, rope: Rope) -> Tensor:
        """x [N, C] to [N, C]; `rope` and `segments` are of the same N patches."""
        q, k, v = self.rotate(self.qkv(x), rope, self.layout, self.keep, self.num_heads)
        if segments.gather is not None:
            q, k, v = (permute_cells(part.reshape(x.shape), segments.gather).view(v.shape) for part in (q, k, v))
        if self.narrow:
            q, k, v = self.narrow(q, k, v)
        context = self.layout.merge(self.attend(q, k, v, segments, self.layout))
        if segments.scatter is not None:
            context = permute_cells(context, segments.scatter)
        return self.proj(context)
