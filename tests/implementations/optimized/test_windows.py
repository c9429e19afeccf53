from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor
from transformers.vision_utils import get_vision_window_index

from tests.implementations.grids import WINDOW, Batch, batches
from tests.implementations.optimized.plans import new_tower, plan_of, tower_for
from tests.implementations.towers import NARROW_2_5
from vlbench.implementations.optimized import OptimizedVisionTower
from vlbench.implementations.optimized.segments import Segments

NAIVE = tower_for(NARROW_2_5)
NO_EMPTY = tower_for(NARROW_2_5, "no-empty-windows")
SORTED = tower_for(NARROW_2_5, "window-sort")
BATCHED = tower_for(NARROW_2_5, "batched-windows", "host-seqlens")
SORTED_BATCHED = tower_for(NARROW_2_5, "window-sort", "batched-windows", "host-seqlens")
SORTED_CACHED = tower_for(NARROW_2_5, "window-sort", "window-cache", "no-empty-windows")


def bounds_of(segments: Segments | None) -> list[int]:
    assert segments is not None
    return [int(bound) for bound in segments.bounds]


def window_of_each_cell(batch: Batch) -> Tensor:
    """[N / 4] which window a merged cell lies in, by enumerating cells; window numbers rise over the batch."""
    keys, side = [], WINDOW // 2
    for item, (t, h, w) in enumerate(batch):
        keys += [
            (item, frame, row // side, column // side)
            for frame in range(t)
            for row in range(h // 2)
            for column in range(w // 2)
        ]
    number = {key: index for index, key in enumerate(sorted(set(keys)))}
    return torch.tensor([number[key] for key in keys])


@pytest.mark.parametrize("tower", [NAIVE, NO_EMPTY], ids=["naive", "no-empty-windows"])
@given(batch=batches)
@settings(max_examples=40)
def test_the_order_and_bounds_are_those_of_transformers(tower: OptimizedVisionTower, batch: Batch) -> None:
    plan = plan_of(tower, batch)
    index, bounds = get_vision_window_index(torch.tensor(batch), 2, 16, NARROW_2_5.patch_size)
    assert plan.window_index is not None
    assert torch.equal(plan.window_index, index)
    assert bounds_of(plan.windows) == bounds.tolist()


@pytest.mark.parametrize("tower", [SORTED, SORTED_CACHED], ids=["window-sort", "with window-cache"])
@given(batch=batches)
@settings(max_examples=40)
def test_sorted_windows_are_whole_and_never_grow(tower: OptimizedVisionTower, batch: Batch) -> None:
    plan = plan_of(tower, batch)
    assert plan.window_index is not None
    assert torch.equal(plan.window_index.sort().values, torch.arange(len(plan.window_index)))
    window = window_of_each_cell(batch)
    order, bounds = window[plan.window_index], bounds_of(plan.windows)
    seen = [set(order[start // 4 : stop // 4].tolist()) for start, stop in pairwise(bounds)]
    assert sorted(seen, key=min) == [{number} for number in range(int(window.max()) + 1)]
    sizes = [stop - start for start, stop in pairwise(bounds)]
    assert sizes == sorted(sizes, reverse=True)


@given(batch=batches)
@settings(max_examples=40)
def test_sorted_windows_are_never_gathered_and_frames_only_if_there_are_several(batch: Batch) -> None:
    plan = plan_of(SORTED_BATCHED, batch)
    assert plan.windows is not None
    assert plan.windows.gather is None
    assert plan.windows.scatter is None
    assert (plan.frames.gather is not None) == (plan.frames.scatter is not None) == (sum(t for t, _, _ in batch) > 1)


@given(batch=batches)
@settings(max_examples=40)
def test_unsorted_windows_are_gathered_only_if_a_larger_one_follows_a_smaller(batch: Batch) -> None:
    plan, bounds = plan_of(BATCHED, batch), bounds_of(plan_of(NAIVE, batch).windows)
    assert plan.windows is not None
    sizes = [stop - start for start, stop in pairwise(bounds)]
    grows = sizes != sorted(sizes, reverse=True)
    assert (plan.windows.gather is not None) == grows
    assert [stop - start for start, stop in pairwise(bounds_of(plan.windows))] == sorted(sizes, reverse=True)
    assert plan.frames.gather is None


@pytest.mark.parametrize(
    ("cells", "windows", "empty"), [((4, 4), 1, 3), ((8, 8), 4, 5), ((3, 5), 2, 0), ((4, 5), 2, 2)]
)
def test_the_naive_cut_has_empty_windows_where_a_side_is_a_multiple(
    cells: tuple[int, int], windows: int, empty: int
) -> None:
    naive = NAIVE.planner.cut.cut(1, *cells, 4).sizes.tolist()
    tidy = NO_EMPTY.planner.cut.cut(1, *cells, 4).sizes.tolist()
    assert naive.count(0) == empty
    assert [size for size in naive if size] == tidy
    assert len(tidy) == windows


def test_window_cache_hands_out_the_same_windows_again() -> None:
    tower = new_tower(NARROW_2_5, "window-cache")
    cache = tower.caches()["windows"]
    plan_of(tower, ((1, 6, 6), (1, 6, 6), (2, 4, 4)))
    assert (cache.hits, cache.misses) == (1, 2)
    assert cache.get((1, 6, 6), lambda: pytest.fail("a miss")) is cache.get((1, 6, 6), lambda: pytest.fail("a miss"))
