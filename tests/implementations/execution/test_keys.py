"""Two batches share a graph only if nothing that it depends on differs."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from itertools import combinations

import pytest
import torch
from hypothesis import given, settings

from tests.implementations.grids import AWKWARD, Batch, batches
from tests.implementations.towers import NARROW, NARROW_2, NARROW_2_5, name_of, pixels_of, weights_of
from vlbench.implementations import build_tower
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.execution.budgeted import budget_key
from vlbench.implementations.execution.keys import core, key_of, swapped, tensors_of
from vlbench.implementations.optimized import OptimizedVisionTower
from vlbench.implementations.optimized.plan import VisionPlan

FLAGS = ("host-seqlens", "graph-exact")
CONFIGS = pytest.mark.parametrize("config", NARROW, ids=name_of)


def tower_of(config: VisionConfig, *flags: str, dtype: torch.dtype = torch.float32) -> OptimizedVisionTower:
    tower = build_tower(config, [*FLAGS, *flags], weights_of(config, dtype))
    assert isinstance(tower, OptimizedVisionTower)
    return tower


def inputs(tower: OptimizedVisionTower, batch: Batch) -> tuple[torch.Tensor, VisionPlan]:
    plan = tower.planned(torch.tensor(batch), torch.device("cpu"))
    with torch.no_grad():
        x = tower.embed(pixels_of(tower.config, batch).to(next(tower.parameters())), plan)
    return x, core(plan)


def key(tower: OptimizedVisionTower, batch: Batch) -> Hashable:
    return key_of(inputs(tower, batch))


EQUAL_TOKENS: list[Batch] = [
    ((1, 8, 8),),
    ((1, 4, 16),),
    ((1, 16, 4),),
    ((2, 4, 8),),
    ((1, 4, 8), (1, 4, 8)),
    ((1, 8, 4), (1, 4, 8)),
    ((4, 4, 4),),
    ((1, 2, 2), (1, 6, 10)),
    ((1, 6, 10), (1, 2, 2)),
]


def boundaries(tower: OptimizedVisionTower, batch: Batch) -> tuple[list[int], list[int] | None]:
    _, plan = inputs(tower, batch)
    return list(plan.frames.bounds), None if plan.windows is None else list(plan.windows.bounds)


@CONFIGS
def test_equal_tokens_and_other_boundaries_never_share_a_key(config: VisionConfig) -> None:
    tower = tower_of(config)
    for one, other in combinations(EQUAL_TOKENS, 2):
        same = boundaries(tower, one) == boundaries(tower, other)
        assert (key(tower, one) == key(tower, other)) is same, (one, other)


@CONFIGS
@given(one=batches, other=batches)
@settings(max_examples=5)
def test_any_two_batches(config: VisionConfig, one: Batch, other: Batch) -> None:
    tower = tower_of(config)
    assert key(tower, one) == key(tower, one)
    if boundaries(tower, one) != boundaries(tower, other):
        assert key(tower, one) != key(tower, other)


def test_a_key_holds_dtypes_and_kinds() -> None:
    batch = ((1, 8, 8),)
    plain = key(tower_of(NARROW_2_5), batch)
    assert key(tower_of(NARROW_2_5, dtype=torch.bfloat16), batch) != plain
    assert key(tower_of(NARROW_2_5, "rope-shared"), batch) != plain  # cos and sin in place of angles


def test_a_key_holds_who_gathers() -> None:
    x, plan = inputs(tower_of(NARROW_2), ((1, 8, 8),))
    gathered = replace(plan, frames=type(plan.frames)(plan.frames.bounds, torch.arange(16), torch.arange(16)))
    assert key_of((x, gathered)) != key_of((x, plan))
    assert budget_key(x, gathered, 64) != budget_key(x, plan, 64)


def test_a_graph_of_a_size_is_for_one_dtype_and_one_size() -> None:
    """A second key that is forgotten replays what was captured for the first."""
    batch = ((1, 8, 8),)
    one, other = (inputs(tower_of(NARROW_2_5, dtype=dtype), batch) for dtype in (torch.float32, torch.bfloat16))
    assert budget_key(*one, 64) != budget_key(*other, 64)
    assert budget_key(*one, 64) != budget_key(*one, 128)
    assert budget_key(*one, 64) == budget_key(*inputs(tower_of(NARROW_2_5), ((2, 4, 4),)), 64)


@CONFIGS
def test_swapping_changes_every_tensor_and_nothing_else(config: VisionConfig) -> None:
    given_ = inputs(tower_of(config, *(["batched-windows", "window-sort"] if config.window_size else [])), AWKWARD[8])
    other = swapped(given_, torch.clone)
    pairs = list(zip(tensors_of(given_), tensors_of(other), strict=True))
    assert len(pairs) >= 2
    assert all(one is not two and torch.equal(one, two) for one, two in pairs)
    assert key_of(other) == key_of(given_)


def test_what_can_be_no_key_is_refused() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        key_of({"a": 1})
