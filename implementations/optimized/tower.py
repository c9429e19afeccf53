"""The optimized tower: one forward for all models, assembled from what the model asks for and the flags chose.

With no flag it does, operation for operation, what the reference tower does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, assert_never

import torch
from torch import Tensor, nn

from ..config import VisionConfig
from ..stage import stage
from .attention import Attention, kernels
from .cache import ByteCache
from .mlp import build_mlp
from .patch_embed import PatchEmbed
from .plan import Planner, VisionPlan
from .seam import FlagSet
from .windows import permute_cells


class RMSNorm(nn.Module):
    """x / rms(x) in fp32, cast back, times the weight (arXiv 1910.07467, in T5's order of casts)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        """x [.., C] to the same shape."""
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


class Block(nn.Module):
    """Attention and MLP, each after a norm and added to the hidden states [N, C]."""

    def __init__(self, config: VisionConfig, flags: FlagSet, index: int) -> None:
        super().__init__()
        self.norm1 = build_norm(config)
        self.norm2 = build_norm(config)
        self.attn = Attention(config, flags)
        self.mlp = build_mlp(config, flags)
        self.attends_fully = config.attends_fully(index)
        self.attention_stage = f"block[{index}].attention"
        self.mlp_stage = f"block[{index}].mlp"

    def forward(self, x: Tensor, plan: VisionPlan) -> Tensor:
        """x [N, C] to [N, C]."""
        segments = plan.frames if self.attends_fully or plan.windows is None else plan.windows
        with stage(self.attention_stage):
            x = x + self.attn(self.norm1(x), segments, plan.rope)
        with stage(self.mlp_stage):
            return x + self.mlp(self.norm2(x))


class PatchMerger(nn.Module):
    """Squares of patches, [N, C], to the tokens of the language model, [N / 4, out_hidden_size]."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.merged_size = config.hidden_size * config.merge_unit
        self.ln_q = build_norm(config)
        self.mlp = nn.Sequential(
            nn.Linear(self.merged_size, self.merged_size),
            nn.GELU(),
            nn.Linear(self.merged_size, config.out_hidden_size),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C] to [N / 4, out_hidden_size]."""
        return self.mlp(self.ln_q(x).view(-1, self.merged_size))


class OptimizedVisionTower(nn.Module):
    """A vision tower with a choice of flags. State-dict keys and shapes are those of the released checkpoints.

    `device` is the kind of device it will run on ("cpu", "cuda"): flags that mean nothing there are refused with a
    FlagError, as are conflicts and missing requirements. A model with something that it does not compute is refused
    with a ConfigError.
    """

    def __init__(self, config: VisionConfig, flags: Iterable[str] = (), device: str = "cpu") -> None:
        super().__init__()
        config.require("the optimized tower", position_embedding="rope", deepstack_blocks=())
        self.config = config
        self.flags = FlagSet(frozenset(flags), config, device)
        self.kernels = kernels.way(self.flags)
        self.planner = Planner(config, self.flags)
        self.patch_embed = PatchEmbed(config, self.flags)
        self.blocks = nn.ModuleList(Block(config, self.flags, index) for index in range(config.depth))
        self.merger = PatchMerger(config)

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        """Pixels [N, patch_dim] and grids [items, 3] of (frames, rows, columns) to tokens [N / 4, out_hidden_size]."""
        with stage("forward"), self.kernels():
            with stage("plan"):
                plan = self.planner(grid_thw, pixels.device)
            with stage("patch_embed"):
                x = self.patch_embed(pixels)
            if plan.window_index is not None:
                with stage("window_order"):
                    x = permute_cells(x, plan.window_index)
            for block in self.blocks:
                x = block(x, plan)
            with stage("merger"):
                x = self.merger(x)
            if plan.inverse is None:
                return x
            with stage("restore_order"):
                return x[plan.inverse]

    def caches(self) -> dict[str, ByteCache[Any, Any]]:
        """The tower's caches, for their hits, misses and bytes."""
        return self.planner.caches()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> OptimizedVisionTower:
        for cache in self.caches().values():
            cache.clear()  # what they keep lives on the old device
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self
