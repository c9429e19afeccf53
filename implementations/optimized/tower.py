"""The optimized tower: one forward for all models, assembled from what the model asks for and the flags chose.

With no flag it does, operation for operation, what the reference tower does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ..config import VisionConfig
from ..output import VisionOutput, with_features
from ..stage import listening, stage
from .attention import Attention, kernels
from .cache import ByteCache
from .deepstack import features, levels
from .execution import execution
from .fp8 import linear_precision
from .merger import NamedMerger, build_merger, build_norm
from .mlp import build_mlp
from .overflow import fp16_guard
from .patch_embed import PatchEmbed
from .plan import MadeFor, Planner, VisionPlan, as_grids, check_plan
from .residual import residual_norm
from .rope import Rope
from .rope_precision import rope_precision
from .seam import FlagSet
from .segments import Segments
from .windows import permute_cells


class Block(nn.Module):
    """Attention and MLP, each after a norm and added to the hidden states [N, C]."""

    def __init__(self, config: VisionConfig, flags: FlagSet, index: int) -> None:
        super().__init__()
        self.norm1 = build_norm(config)
        self.norm2 = build_norm(config)
        self.residual = residual_norm.way(flags)(self.norm1, self.norm2)
        self.attn = Attention(config, flags)
        self.mlp = build_mlp(config, flags)
        self.attends_fully = config.attends_fully(index)
        self.attention_stage = f"block[{index}].attention"
        self.mlp_stage = f"block[{index}].mlp"

    def forward(self, x: Tensor, normed: Tensor | None, plan: VisionPlan) -> tuple[Tensor, Tensor | None]:
        """x [N, C] to [N, C]; with it comes its norm where that is made, and with the result that of the next block."""
        segments = plan.frames if self.attends_fully or plan.windows is None else plan.windows
        if not listening():  # as in most calls: a small tower feels what each stage calls
            return self.feed_forward(*self.attention(x, normed, segments, plan.rope))
        with stage(self.attention_stage):
            x, normed = self.attention(x, normed, segments, plan.rope)
        with stage(self.mlp_stage):
            return self.feed_forward(x, normed)

    def attention(
        self, x: Tensor, normed: Tensor | None, segments: Segments, rope: Rope
    ) -> tuple[Tensor, Tensor | None]:
        """The first half, and its norm where that is made with the sum."""
        attended = self.attn(self.residual.norm(x) if normed is None else normed, segments, rope)
        return self.residual.add(x, attended)

    def feed_forward(self, x: Tensor, normed: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The second half, likewise."""
        return self.residual.end(x, self.mlp(self.residual.after(x) if normed is None else normed))


class OptimizedVisionTower(nn.Module):
    """A vision tower with a choice of flags. State-dict keys and shapes are those of the released checkpoints.

    `device` is the kind of device it will run on ("cpu", "cuda"): flags that mean nothing there are refused with a
    FlagError, as are conflicts and missing requirements.
    """

    def __init__(self, config: VisionConfig, flags: Iterable[str] = (), device: str = "cpu") -> None:
        super().__init__()
        self.config = config
        self.flags = FlagSet(frozenset(flags), config, device)
        self.kernels = kernels.way(self.flags)
        self.linears = linear_precision.chosen(self.flags)
        self.precise = rope_precision.chosen(self.flags)
        self.guard = fp16_guard.chosen(self.flags)
        self.planner = Planner(config, self.flags)
        self.patch_embed = PatchEmbed(config, self.flags)
        if config.position_table:
            self.pos_embed = nn.Embedding(config.position_table, config.hidden_size)
        blocks = [Block(config, self.flags, index) for index in range(config.depth)]
        for block, following in pairwise(blocks):
            block.residual.following = following.norm1
        self.blocks = nn.ModuleList(blocks)
        self.merger = build_merger(config)
        if config.deepstack_blocks:
            mergers = (NamedMerger(config, joined_first=True) for _ in config.deepstack_blocks)
            self.deepstack_merger_list: Any = nn.ModuleList(mergers)
        self.level_of = levels.way(self.flags)(config.deepstack_blocks)
        self.features = features.way(self.flags)()
        self.execution = execution.way(self.flags)()
        self.execution.prepare(self)

    def plan(self, grid_thw: Tensor, *, host_lengths: bool = False) -> VisionPlan:
        """All of a forward that follows from grids [items, 3], to be handed in to any number of calls on these grids.

        With `host_lengths` the bounds of its segments are on the host whatever the flags, which may be a wait each.
        """
        weight = self.patch_embed.proj.weight
        with stage("plan"):
            made_for = MadeFor(as_grids(grid_thw), weight.device, weight.dtype, self.flags)
            plan = self._made(grid_thw, weight.device)
            return (plan.on_host() if host_lengths else plan).bound_to(made_for)

    def forward(self, pixels: Tensor, grid_thw: Tensor, *, plan: VisionPlan | None = None) -> Tensor | VisionOutput:
        """Pixels [N, patch_dim] and grids [items, 3] of (frames, rows, columns) to tokens [N / 4, out_hidden_size].

        With deepstack, features of the same shape come with them by the names `deepstack[0]` and on. With a `plan` of
        this tower for these grids, nothing of it is made here; any other raises PlanError.
        """
        with stage("forward"), self.kernels():
            if plan is not None:
                check_plan(plan, pixels, grid_thw, self.flags)
            return with_features(*self.execution(self, pixels, grid_thw, plan))

    def planned(self, grid_thw: Tensor, device: torch.device) -> VisionPlan:
        """The plan of grids [items, 3], for pixels on this device."""
        with stage("plan"):
            return self._made(grid_thw, device)

    def _made(self, grid_thw: Tensor, device: torch.device) -> VisionPlan:
        plan: VisionPlan = self.planner(grid_thw, device)
        return self.precise(plan, self.patch_embed.proj.weight.dtype) if self.precise else plan

    def encode(self, pixels: Tensor, plan: VisionPlan) -> tuple[Tensor, list[Tensor]]:
        """Pixels to tokens [N / 4, out_hidden_size] and as many features for each level; the plan is not checked."""
        return self.restore(*self.transform(self.embed(pixels, plan), plan), plan)

    def embed(self, pixels: Tensor, plan: VisionPlan) -> Tensor:
        """Pixels to hidden states [N, C], in the order in which the blocks want them."""
        with stage("patch_embed"):
            x = self.patch_embed(pixels)
        if plan.positions is not None:
            with stage("positions"):
                x = x + plan.positions(self.pos_embed.weight, x.dtype)
        if plan.window_index is not None:
            with stage("window_order"):
                x = permute_cells(x, plan.window_index)
        return x

    def transform(self, x: Tensor, plan: VisionPlan) -> tuple[Tensor, list[Tensor]]:
        """Hidden states through blocks and mergers. Of the plan it reads rope and segments alone."""
        kept = self.features.begin(x, self.config) if self.config.deepstack_blocks else []
        normed = None
        with self.linears() if self.linears else nullcontext():
            for index, block in enumerate(self.blocks):
                x, normed = block(x, normed, plan)
                if (level := self.level_of(index)) is not None:
                    with stage("deepstack"):
                        self.features.take(kept, level, self.deepstack_merger_list[level], x)
        with stage("merger"):
            return self.merger(self.guard(x) if self.guard else x), kept

    def restore(self, tokens: Tensor, kept: list[Tensor], plan: VisionPlan) -> tuple[Tensor, list[Tensor]]:
        """The same in the order of the input."""
        if plan.inverse is None:
            return tokens, kept
        with stage("restore_order"):
            tokens, *kept = (each[plan.inverse] for each in (tokens, *kept))
        return tokens, kept

    def caches(self) -> dict[str, ByteCache[Any, Any]]:
        """The tower's caches, for their hits, misses and bytes."""
        return self.planner.caches() | self.execution.caches()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> OptimizedVisionTower:
        for cache in self.caches().values():
            cache.clear()  # what they keep lives on the old device
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self
