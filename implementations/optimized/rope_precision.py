"""In which precision q and k are rotated. Angles stay in fp32: in bf16, those of 128 positions are wrong by 0.18."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from .seam import Exactness, Seam

if TYPE_CHECKING:
    from .plan import VisionPlan

Precise = Callable[["VisionPlan", torch.dtype], "VisionPlan"]
"""A plan for hidden states of a dtype."""

rope_precision: Seam[Precise] = Seam("rope precision")


@rope_precision.naive
def in_fp32(plan: VisionPlan, dtype: torch.dtype) -> VisionPlan:
    """cos and sin in fp32, so q and k are cast to it and back in every layer."""
    return plan


@rope_precision.optimization(
    "rope-lowp",
    removes="the casts of q and k to fp32 and back, and trigonometry in the layers; cos and sin are off by up to 0.002",
    exactness=Exactness.RESULT_CHANGING,
    source="vLLM and TensorRT-LLM, whose tables are in the model's dtype; SGLang's Qwen3-VL",
)
def in_the_models_dtype(plan: VisionPlan, dtype: torch.dtype) -> VisionPlan:
    """cos and sin are computed in fp32, once a forward, and rounded; q and k are rotated as they are."""
    return replace(plan, rope=plan.rope.cos_sin().map(lambda rows: rows.to(dtype)))
