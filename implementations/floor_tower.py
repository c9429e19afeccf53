"""A tower's floor as something to time: its products and one attention call a block, on its weights, and no more."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from .config import VisionConfig
from .floor import one_call
from .optimized.plan import as_grids
from .output import VisionOutput, with_features
from .stage import stage
from .weights import SharedTensors


class FloorTower(nn.Module):
    """Called like a tower. What comes out has a tower's shape and means nothing.

    Each block's products are fed the same hidden states, so that values stay finite without the norms between them.
    Sequences of different lengths are one call whose arithmetic is rounded (`one_call`): on mixed grids this row is
    near the floor, and not exactly it.
    """

    def __init__(self, tower: nn.Module) -> None:
        """`tower` is an optimized one, whose linears are called."""
        super().__init__()
        self.tower: Any = tower

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor | VisionOutput:
        """Pixels [N, patch_dim] and grids [items, 3] on the host to a tensor [N / 4, out_hidden_size], or several."""
        tower = self.tower
        config, proj, grids = tower.config, tower.patch_embed.proj, as_grids(grid_thw)
        calls = {fully: one_call(config, grids, fully) for fully in map(config.attends_fully, range(config.depth))}
        with stage("forward"):
            x = F.linear(pixels, proj.weight.flatten(1), proj.bias)
            for block in tower.blocks:
                batch, heads, length = calls[block.attends_fully]
                qkv = block.attn.qkv(x)
                parts = qkv[: batch * length].view(batch, length, 3, heads, config.head_dim).unbind(2)
                F.scaled_dot_product_attention(*(part.transpose(1, 2) for part in parts))
                block.attn.proj(x)
                _mlp(block.mlp, x)
            joined = x.view(-1, x.shape[1] * config.merge_unit)
            mergers = getattr(tower, "deepstack_merger_list", ())
            return with_features(_merged(tower.merger, joined), [_merged(merger, joined) for merger in mergers])


def _mlp(mlp: Any, x: Tensor) -> None:
    if hasattr(mlp, "down_proj"):
        gate_and_up = F.linear(x, *mlp.tensors())
        mlp.down_proj(gate_and_up[:, : mlp.down_proj.in_features])
    else:
        getattr(mlp, mlp.second)(getattr(mlp, mlp.first)(x))


def _merged(merger: nn.Module, joined: Tensor) -> Tensor:
    for linear in (each for each in merger.modules() if isinstance(each, nn.Linear)):
        joined = linear(joined)
    return joined


def build_floor(config: VisionConfig, weights: SharedTensors) -> FloorTower:
    """The floor of the tower with these weights, which stay where they are; gate and up are joined once."""
    from . import build_tower

    return FloorTower(build_tower(config, {"fused-gate-up"} if config.mlp == "gated" else (), weights))
