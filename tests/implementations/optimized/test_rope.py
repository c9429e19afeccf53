from __future__ import annotations

import torch
from hypothesis import given, settings
from torch import Tensor

from tests.implementations.grids import Batch, batches
from tests.implementations.optimized.plans import new_tower, plan_of, tower_for
from tests.implementations.towers import NARROW_2, NARROW_2_5
from vlbench.implementations.config import MODELS
from vlbench.implementations.optimized.grids import HostGrids
from vlbench.implementations.optimized.layout import Layout
from vlbench.implementations.optimized.position_ids import IdsEachTime, ids_on_host
from vlbench.implementations.optimized.rope import Angles, CachedRope, CosSin, CosSinTable, in_every_layer
from vlbench.implementations.optimized.rotary import rotate
from vlbench.implementations.optimized.transfer import Pageable

PLAIN = tower_for(NARROW_2)
CACHED = tower_for(NARROW_2, "rope-cache")
CACHED_WINDOWS = tower_for(NARROW_2_5, "rope-cache", "window-sort")


def angles_by_definition(batch: Batch) -> Tensor:
    """[N, head_dim / 2] in fp64, patch by patch: row and column times 10000^(-2j / (head_dim / 2))."""
    frequencies = 10000.0 ** (-2 * torch.arange(20, dtype=torch.float64) / 40)
    places = [
        (row + i, column + j)
        for t, h, w in batch
        for _ in range(t)
        for row in range(0, h, 2)
        for column in range(0, w, 2)
        for i in range(2)
        for j in range(2)
    ]
    rows, columns = torch.tensor(places, dtype=torch.float64).unbind(1)
    return torch.cat((torch.outer(rows, frequencies), torch.outer(columns, frequencies)), dim=1)


@given(batch=batches)
@settings(max_examples=40)
def test_the_angles_are_those_of_the_definition(batch: Batch) -> None:
    rope, wanted = plan_of(PLAIN, batch).rope, angles_by_definition(batch)
    assert isinstance(rope, Angles)
    assert rope.rows.dtype == torch.float32
    torch.testing.assert_close(rope.rows.double(), wanted, atol=1e-4, rtol=1e-6)
    cached = plan_of(CACHED, batch).rope
    assert isinstance(cached, CosSin)
    torch.testing.assert_close(cached.cos.double(), wanted.cos(), atol=1e-4, rtol=0)
    torch.testing.assert_close(cached.sin.double(), wanted.sin(), atol=1e-4, rtol=0)


@given(batch=batches)
@settings(max_examples=40)
def test_the_rope_stands_in_the_order_of_the_hidden_states(batch: Batch) -> None:
    plan, wanted = plan_of(CACHED_WINDOWS, batch), angles_by_definition(batch)
    assert plan.window_index is not None
    wanted = wanted.view(-1, 4, 40)[plan.window_index].view(-1, 40)
    assert isinstance(plan.rope, CosSin)
    torch.testing.assert_close(plan.rope.cos.double(), wanted.cos(), atol=1e-4, rtol=0)


def test_one_item_that_was_seen_before_gets_the_same_object() -> None:
    for tower in (new_tower(NARROW_2, "rope-cache"), new_tower(NARROW_2_5, "rope-cache")):
        first = plan_of(tower, ((2, 6, 10),)).rope
        assert plan_of(tower, ((2, 6, 10),)).rope is first
        assert plan_of(tower, ((2, 10, 6),)).rope is not first
        cache = tower.caches()["rope"]
        assert (cache.hits, cache.misses) == (1, 2)
        assert cache.bytes == 2 * 320 * 120  # 320 bytes a patch


def test_the_cache_stays_under_its_bound() -> None:
    planner = tower_for(NARROW_2).planner
    entry = 320 * 16  # the rope of a 4x4 image
    ids = IdsEachTime(ids_on_host, 2)
    rope = CachedRope(planner.rows, ids, in_every_layer, 2, Pageable(), max_bytes=2 * entry)

    def ask(*batch: tuple[int, int, int]) -> None:
        rope(HostGrids(torch.tensor(batch), lambda tensor: tensor), None, None)

    ask((1, 4, 4), (1, 2, 8), (1, 4, 4))
    assert (rope.cache.hits, rope.cache.misses, rope.cache.bytes) == (1, 2, 2 * entry)
    ask((1, 8, 2))  # the least recently used is (1, 2, 8)
    ask((1, 4, 4), (1, 8, 2))
    assert (rope.cache.hits, rope.cache.misses, rope.cache.bytes) == (3, 3, 2 * entry)
    ask((1, 2, 8))
    assert rope.cache.misses == 4
    ask((1, 8, 8))  # larger than the bound: made, not kept
    assert (rope.cache.misses, len(rope.cache)) == (5, 2)


def test_a_table_of_angles_is_made_for_each_power_of_two() -> None:
    tower = new_tower(NARROW_2, "rope-freq-table")
    cache = tower.caches()["rope table"]
    for side, lengths in ((6, [8]), (8, [8]), (10, [8, 16]), (4, [8, 16, 4]), (16, [8, 4, 16])):
        rope = plan_of(tower, ((1, side, 2),)).rope
        assert isinstance(rope, Angles)
        torch.testing.assert_close(rope.rows.double(), angles_by_definition(((1, side, 2),)), atol=1e-4, rtol=1e-6)
        assert sorted(cache._entries) == sorted(lengths)
    assert (cache.hits, cache.misses) == (2, 3)


def test_ids_are_remembered_by_rows_and_columns() -> None:
    tower = new_tower(NARROW_2, "pos-ids-cache")
    plan_of(tower, ((1, 4, 6), (3, 4, 6), (1, 6, 4)))
    plan_of(tower, ((2, 6, 4),))
    cache = tower.caches()["position ids"]
    assert (cache.hits, cache.misses, cache.bytes) == (2, 2, 2 * 24 * 16)
    rope = plan_of(tower, ((2, 6, 4), (1, 4, 6))).rope
    assert isinstance(rope, Angles)
    torch.testing.assert_close(rope.rows.double(), angles_by_definition(((2, 6, 4), (1, 4, 6))), atol=1e-4, rtol=1e-6)


def test_the_table_is_within_an_ulp_of_computing_each_time() -> None:
    table = CosSinTable(MODELS["qwen2.5-vl-tiny"])
    angles = torch.outer(torch.arange(4000).float(), table.inv_freq)
    torch.testing.assert_close(table.cos[:4000], angles.cos(), atol=1.2e-7, rtol=0)
    torch.testing.assert_close(table.sin[:4000], angles.sin(), atol=1.2e-7, rtol=0)


def test_a_rotation_keeps_lengths_and_depends_on_differences_of_positions_only() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 1, 3, 80, generator=generator)
    frequencies = PLAIN.planner.rows.inv_freq

    def turned(x: Tensor, row: float, column: float) -> Tensor:
        return rotate(x, Angles(torch.cat((row * frequencies, column * frequencies)).unsqueeze(0)), Layout())

    torch.testing.assert_close(turned(q, 7, 3).norm(dim=-1), q.norm(dim=-1))
    here = (turned(q, 7, 3) * turned(k, 5, 9)).sum(-1)
    there = (turned(q, 17, 23) * turned(k, 15, 29)).sum(-1)
    torch.testing.assert_close(here, there, atol=1e-4, rtol=1e-4)
