"""From hidden states to tokens: squares of patches are joined and projected to the width of the language model."""

from __future__ import annotations

from typing import assert_never

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import VisionConfig

EPS = 1e-6
"""What norms add to a variance."""


def rms_norm(x: Tensor, weight: Tensor, eps: float = EPS) -> Tensor:
    """x / rms(x) in fp32, cast back, times the weight (arXiv 1910.07467, in T5's order of casts)."""
    x32 = x.float()
    x32 = x32 * torch.rsqrt(x32.pow(2).mean(-1, keepdim=True) + eps)
    return weight * x32.type_as(x)


class RMSNorm(nn.Module):
    """See `rms_norm`."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        """x [.., C] to the same shape."""
        return rms_norm(x, self.weight)


def build_norm(config: VisionConfig, size: int | None = None) -> nn.Module:
    """The norm of hidden states [.., C], or of `size` channels."""
    match config.norm:
        case "layer_norm":
            return nn.LayerNorm(size or config.hidden_size, eps=EPS)
        case "rms_norm":
            return RMSNorm(size or config.hidden_size)
        case _:
            assert_never(config.norm)


class PatchMerger(nn.Module):
    """Squares of patches, [N, C], to the tokens of the language model, [N / 4, out_hidden_size]; Qwen2-VL's keys."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.merged_size = size = config.hidden_size * config.merge_unit
        self.ln_q = build_norm(config)
        self.mlp = nn.Sequential(nn.Linear(size, size), nn.GELU(), nn.Linear(size, config.out_hidden_size))

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C] to [N / 4, out_hidden_size]."""
        return self.mlp(self.ln_q(x).view(-1, self.merged_size))


class NamedMerger(nn.Module):
    """The same by Qwen3-VL's keys. With `joined_first`, as in deepstack, the norm is of the four patches together."""

    def __init__(self, config: VisionConfig, *, joined_first: bool = False) -> None:
        super().__init__()
        self.merged_size = config.hidden_size * config.merge_unit
        self.joined_first = joined_first
        self.norm = build_norm(config, self.merged_size if joined_first else config.hidden_size)
        self.linear_fc1 = nn.Linear(self.merged_size, self.merged_size)
        self.linear_fc2 = nn.Linear(self.merged_size, config.out_hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C] to [N / 4, out_hidden_size]."""
        return self.linear_fc2(self.hidden(x))

    def hidden(self, x: Tensor) -> Tensor:
        """What the last linear is given, [N / 4, 4 * C]."""
        x = self.norm(x.view(-1, self.merged_size)) if self.joined_first else self.norm(x).view(-1, self.merged_size)
        return F.gelu(self.linear_fc1(x))


def build_merger(config: VisionConfig) -> nn.Module:
    """The merger after the last block, by the names that checkpoints of the family have for its parts."""
    match config.family:
        case "qwen2_vl" | "qwen2_5_vl":
            return PatchMerger(config)
        case "qwen3_vl" | "qwen3_5":
            return NamedMerger(config)
        case _:
            assert_never(config.family)
