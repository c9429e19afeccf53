"""RMSNorm, and which norm a model has."""

from __future__ import annotations

from typing import assert_never

import torch
from torch import Tensor, nn

from ..config import VisionConfig


class RMSNorm(nn.Module):
    """x / rms(x) in fp32, cast back, times the weight (arXiv 1910.07467, in T5's order of casts)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        x32 = x.float()
        x32 = x32 * torch.rsqrt(x32.pow(2).mean(-1, keepdim=True) + 1e-6)
        return self.weight * x32.type_as(x)


def build_norm(config: VisionConfig) -> nn.Module:
    """The norm of hidden states [.., C]."""
    match config.norm:
        case "layer_norm":
            return nn.LayerNorm(config.hidden_size, eps=1e-6)
        case "rms_norm":
            return RMSNorm(config.hidden_size)
        case _:
            assert_never(config.norm)
