"""Towers with one deliberate mistake each, of the kinds that were shipped somewhere. Accuracy checks must fail them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate

import torch
from torch import Tensor, nn

from vlbench.implementations import build_tower
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.optimized import OptimizedVisionTower
from vlbench.implementations.optimized.attention import Attention
from vlbench.implementations.optimized.layout import Layout
from vlbench.implementations.optimized.plan import VisionPlan
from vlbench.implementations.optimized.rope import Angles, Rope
from vlbench.implementations.optimized.segments import Segments
from vlbench.implementations.weights import SharedTensors

Change = Callable[[VisionPlan, Tensor], VisionPlan]
"""A wrong plan from the right one and the grids [items, 3]."""


class WronglyPlannedTower(nn.Module):
    """A right tower that is handed a wrong plan."""

    def __init__(self, right: OptimizedVisionTower, change: Change) -> None:
        super().__init__()
        self.right = right
        planner = right.planner.forward
        right.planner.forward = lambda grid_thw, device: change(planner(grid_thw, device), grid_thw)  # type: ignore[method-assign]

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        tokens: Tensor = self.right(pixels, grid_thw)
        return tokens


def _wrongly_planned(change: Change, *flags: str) -> Callable[[VisionConfig, SharedTensors], nn.Module]:
    def build(config: VisionConfig, weights: SharedTensors) -> nn.Module:
        right = build_tower(config, flags, weights)
        assert isinstance(right, OptimizedVisionTower)
        return WronglyPlannedTower(right, change)

    return build


def _angles(rope: Rope) -> Tensor:
    assert isinstance(rope, Angles)
    return rope.rows


def _no_rope(plan: VisionPlan, grid_thw: Tensor) -> VisionPlan:
    return replace(plan, rope=Angles(torch.zeros_like(_angles(plan.rope))))


def _bf16_angles(plan: VisionPlan, grid_thw: Tensor) -> VisionPlan:
    return replace(plan, rope=Angles(_angles(plan.rope).bfloat16().float()))


def _unpermuted_rope(plan: VisionPlan, grid_thw: Tensor) -> VisionPlan:
    """The angles of the input's order, while the hidden states are in window order."""
    rows, inverse = _angles(plan.rope), plan.inverse
    assert inverse is not None
    return replace(plan, rope=Angles(rows.view(inverse.shape[0], 4, -1)[inverse].view(rows.shape)))


def _full_windows(plan: VisionPlan, grid_thw: Tensor) -> VisionPlan:
    """Blocks that should attend inside windows attend over the whole frame."""
    return replace(plan, windows=plan.frames)


def _joined_frames(plan: VisionPlan, grid_thw: Tensor) -> VisionPlan:
    """A video is one segment: its frames see each other."""
    return replace(plan, frames=Segments([0, *accumulate(grid_thw.prod(1).tolist())]))


def _torn_frames(plan: VisionPlan, grid_thw: Tensor) -> VisionPlan:
    """Under window-sort the cells of several frames mix; blocks over whole frames take them as they come."""
    return replace(plan, frames=Segments([int(bound) for bound in plan.frames.bounds]))


class _InterleavedCos(Layout):
    """Each cos twice in a row, as for pairs of neighbours, while the pairs are half a head apart."""

    def tile(self, half: Tensor) -> Tensor:
        return half.repeat_interleave(2, dim=-1).unsqueeze(1)


def _interleaved_cos(config: VisionConfig, weights: SharedTensors) -> nn.Module:
    tower = build_tower(config, (), weights)
    for module in tower.modules():
        if isinstance(module, Attention):
            module.layout = _InterleavedCos()
    return tower


WRONG_TOWERS: dict[str, Callable[[VisionConfig, SharedTensors], nn.Module]] = {
    "no rope": _wrongly_planned(_no_rope),
    "interleaved cos": _interleaved_cos,
    "bf16 angles": _wrongly_planned(_bf16_angles),
    "unpermuted rope": _wrongly_planned(_unpermuted_rope),
    "full windows": _wrongly_planned(_full_windows),
    "joined frames": _wrongly_planned(_joined_frames),
    "torn frames": _wrongly_planned(_torn_frames, "window-sort"),
}
"""Mistake -> builder, for Qwen2.5-VL; the first three and the joined frames can be made in Qwen2-VL, too."""


def _half_pixel(config: VisionConfig, weights: SharedTensors) -> nn.Module:
    """The table is resampled between the centres of patches, as SGLang's graph path and llama.cpp once did."""
    tower = _optimized(config, weights)
    positions = tower.planner.positions
    assert positions is not None
    side = positions.side

    def taps(size: int, device: torch.device) -> list[tuple[Tensor, Tensor]]:
        place = ((torch.arange(size) + 0.5) * side / size - 0.5).clamp(0, side - 1)
        row = place.floor().long()
        return [(row, 1 - (place - row)), ((row + 1).clamp(max=side - 1), place - row)]

    positions.taps = taps  # type: ignore[method-assign]
    return tower


def _one_block_late(config: VisionConfig, weights: SharedTensors) -> nn.Module:
    """The features of a level are taken a block later, which only their own parts of the output show."""
    tower = _optimized(config, weights)
    right = tower.level_of
    tower.level_of = lambda block: right(block - 1)
    return tower


def _levels_swapped(config: VisionConfig, weights: SharedTensors) -> nn.Module:
    tower = _optimized(config, weights)
    right = tower.level_of
    last = len(config.deepstack_blocks) - 1
    tower.level_of = lambda block: None if (level := right(block)) is None else last - level
    return tower


def _optimized(config: VisionConfig, weights: SharedTensors) -> OptimizedVisionTower:
    tower = build_tower(config, (), weights)
    assert isinstance(tower, OptimizedVisionTower)
    return tower


WRONG_TOWERS_OF_QWEN3: dict[str, Callable[[VisionConfig, SharedTensors], nn.Module]] = {
    "no rope": _wrongly_planned(_no_rope),
    "joined frames": _wrongly_planned(_joined_frames),
    "half-pixel positions": _half_pixel,
    "features one block late": _one_block_late,
    "levels swapped": _levels_swapped,
}
"""The same for Qwen3-VL."""
