"""All segments of a layer in one call: attention over sequences of different lengths, as flash-attn has it."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from ..operators import PACKAGE
from .attention import SegmentList, attention
from .layout import Layout
from .seam import Exactness, with_varlen
from .segments import Segments

HALF = (torch.float16, torch.bfloat16)


@torch.library.custom_op(f"{PACKAGE}::varlen_attention", mutates_args=())
def varlen_attention(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor, longest: int) -> Tensor:
    """softmax(q k^T / sqrt(head_dim)) v inside each segment; all [N, heads, head_dim].

    `cu_seqlens` are bounds [0, ..., N], int32, and `longest` the patches in the longest segment. On CUDA in half
    precision one call of torch's own kernel. It has none for a CPU nor for fp32: there one SDPA call per segment.
    """
    if q.is_cuda and q.dtype in HALF:
        from torch.nn.attention.varlen import varlen_attn

        attended = varlen_attn(q, k, v, cu_seqlens, cu_seqlens, longest, longest)
        assert isinstance(attended, Tensor)  # no more was asked for
        return attended
    outputs = []
    for start, stop in pairwise(cu_seqlens.tolist()):
        q_i, k_i, v_i = (part[start:stop].transpose(0, 1).unsqueeze(0) for part in (q, k, v))
        outputs.append(F.scaled_dot_product_attention(q_i, k_i, v_i).squeeze(0).transpose(0, 1))
    return torch.cat(outputs)


@varlen_attention.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor, longest: int) -> Tensor:
    return torch.empty_like(q)


@attention.optimization(
    "varlen",
    removes="all attention calls but one a layer, which has to know its longest segment: a wait, if the device says it",
    exactness=Exactness.REASSOCIATED,
    source="torch.nn.attention.varlen; flash-attn's varlen kernel in vLLM, SGLang and transformers",
    applies=(with_varlen,),
)
class OneCall(SegmentList):
    """The segments' bounds go to the kernel as they are on the device; in fp32 a call for each, after a read-back."""

    reads_bounds = True

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, segments: Segments, layout: Layout) -> Tensor:
        heads, head_dim = q.shape[-2:]
        cu_seqlens, max_seqlen = segments.cu_seqlens, segments.longest
        assert cu_seqlens is not None
        if max_seqlen is None:
            max_seqlen = int(cu_seqlens.diff().max())
        all_rows = (part.view(-1, heads, head_dim) for part in (q, k, v))
        return varlen_attention(*all_rows, cu_seqlens, max_seqlen).view(v.shape)
