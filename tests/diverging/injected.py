"""Towers with one mistake each, `tests.diverging.injected:NAME`, on the tensors of whatever they are held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import vlbench
from vlbench.implementations import build_tower
from vlbench.implementations.config import MODELS
from vlbench.implementations.optimized.merger import rms_norm
from vlbench.implementations.optimized.plan import VisionPlan
from vlbench.implementations.optimized.rope import Angles, CosSin
from vlbench.implementations.optimized.segments import Segments
from vlbench.implementations.optimized.windows import permute_cells
from vlbench.implementations.weights import SharedTensors
from vlbench.towers.models import drawn


def tower(change: Callable[[Any], None], model: str = "qwen2.5-vl-tiny") -> vlbench.Tower:
    """Our tower without flags, with something in it changed."""

    def load(weights: Mapping[str, Tensor]) -> nn.Module:
        built = build_tower(MODELS[model], (), SharedTensors(weights))
        change(built)
        return built

    return vlbench.Tower(
        lambda device, dtype: load(drawn(MODELS[model], device, dtype)), load, model=model, stages=None
    )


def planned(change: Callable[[VisionPlan], VisionPlan]) -> vlbench.Tower:
    """With another plan."""

    def wrap(built: Any) -> None:
        right = built.planned
        built.planned = lambda grid_thw, device: change(right(grid_thw, device))

    return tower(wrap)


def in_bf16(plan: VisionPlan) -> VisionPlan:
    assert isinstance(plan.rope, Angles)
    return replace(plan, rope=Angles(plan.rope.rows.bfloat16().float()))


def swapped(plan: VisionPlan) -> VisionPlan:
    rope = plan.rope.cos_sin()
    rows, columns = rope.cos.chunk(2, dim=-1)
    return replace(plan, rope=CosSin(torch.cat((columns, rows), dim=-1), rope.sin))


def joined(plan: VisionPlan) -> VisionPlan:
    bounds = plan.frames.bounds
    assert isinstance(bounds, Tensor)
    return replace(plan, frames=Segments(torch.cat((bounds[:1], bounds[2:]))))


def unpermuted(plan: VisionPlan) -> VisionPlan:
    assert plan.inverse is not None
    return replace(plan, rope=plan.rope.map(partial(permute_cells, order=plan.inverse)))


def shifted(plan: VisionPlan) -> VisionPlan:
    assert plan.windows is not None
    assert isinstance(plan.windows.bounds, Tensor)
    bounds = plan.windows.bounds.clone()
    bounds[1] += 1
    return replace(plan, windows=Segments(bounds))


def larger_eps(built: Any) -> None:
    norm = built.blocks[0].norm1
    norm.forward = lambda x: rms_norm(x, norm.weight, 1e-5)


def exact_gelu(built: Any) -> None:
    built.blocks[1].mlp.act = F.gelu


def without_bias(built: Any) -> None:
    built.blocks[1].mlp.down_proj.bias = None


def not_a_number(built: Any) -> None:
    built.blocks[2].mlp.down_proj.register_forward_hook(lambda _, args, output: output.index_fill(0, ROW, torch.nan))


def raises(built: Any) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("no such thing")

    built.blocks[3].register_forward_pre_hook(refuse)


def flattened(off: float, built: Any) -> None:
    """Its attention has another name, and gives `off` times what it should."""

    def attention(block: Any, x: Tensor, normed: Tensor | None, *given: Any) -> Any:
        attended = block.other(block.residual.norm(x) if normed is None else normed, *given)
        return block.residual.add(x, attended * off)

    for block in built.blocks:
        block.other = block.attn
        del block.attn
        block.attention = partial(attention, block)


class Bare(nn.Module):
    """What it calls has no names that tell its stages."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.call = build_tower(MODELS["qwen2.5-vl-tiny"], (), SharedTensors(weights)).forward

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Any:
        return self.call(pixels, grid_thw)


ROW = torch.tensor([100])

bf16_angles = planned(in_bf16)
swapped_cos = planned(swapped)
joined_frames = planned(joined)
unpermuted_tables = planned(unpermuted)
shifted_window = planned(shifted)
wrong_eps = tower(larger_eps)
another_gelu = tower(exact_gelu, "qwen3-vl-tiny")
dropped_bias = tower(without_bias)
flat = tower(partial(flattened, 1.0))
flat_wrong = tower(partial(flattened, 1.1))
nan = tower(not_a_number)
raising = tower(raises)
bare = replace(nan, load=Bare)
