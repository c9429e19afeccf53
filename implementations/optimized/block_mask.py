"""All segments of a layer in one call, as towers did before they cut attention into segments: with a mask."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import SegmentList, attention
from .layout import Layout
from .seam import Exactness
from .segments import Segments


@attention.optimization(
    "block-mask",
    removes="all attention calls but one a layer, for a mask and all scores of each patch with every other: history",
    exactness=Exactness.REASSOCIATED,
    source="transformers before #37363; vLLM of 2024; SGLang's sdpa backend",
)
class OneMaskedCall(SegmentList):
    """Work and memory grow with the square of all patches together, and a mask rules out flash attention on CUDA."""

    reads_bounds = True

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, segments: Segments, layout: Layout) -> Tensor:
        assert segments.cu_seqlens is not None
        ends = segments.cu_seqlens[1:]
        places = torch.arange(q.shape[layout.token_dim], dtype=ends.dtype, device=ends.device)
        segment = torch.bucketize(places, ends, right=True)  # [N], which one a patch is in
        q, k, v = (layout.heads_first(part) for part in (q, k, v))
        return layout.heads_last(F.scaled_dot_product_attention(q, k, v, segment[:, None] == segment))
