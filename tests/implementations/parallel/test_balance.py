"""Images over ranks: every one once, never far from the best there is, by what they cost."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings, strategies as st

from vlbench.implementations.config import MODELS
from vlbench.implementations.floor import Call, tower_work
from vlbench.implementations.parallel.balance import Exchange, gathered, in_turn, item_cost, shared_out
from vlbench.implementations.parallel.tensor import split_cost, summed, why_not_split

QWEN2, QWEN2_5, QWEN3 = (MODELS[name] for name in ("qwen2-vl-7b", "qwen2.5-vl-7b", "qwen3-vl-8b"))
costs = st.lists(st.integers(1, 1000), max_size=40)


@given(costs, st.integers(1, 9))
def test_every_item_is_encoded_once_in_its_order(items: list[int], ranks: int) -> None:
    for shares in (shared_out(items, ranks), in_turn(len(items), ranks)):
        assert len(shares) == ranks
        assert sorted(item for share in shares for item in share) == list(range(len(items)))
        assert all(list(share) == sorted(share) for share in shares)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=7), st.integers(1, 3))
def test_the_busiest_rank_is_near_the_best_of_all_ways(items: list[int], ranks: int) -> None:
    """By Graham's bound, the best found by trying all."""

    def busiest(ways: tuple[int, ...]) -> int:
        return max(sum(cost for cost, rank in zip(items, ways, strict=True) if rank == own) for own in range(ranks))

    best = min(busiest(ways) for ways in product(range(ranks), repeat=len(items)))
    found = max(sum(items[item] for item in share) for share in shared_out(items, ranks))
    assert 3 * ranks * found <= (4 * ranks - 1) * best


def test_grahams_own_worst_case() -> None:
    """5 5 4 4 3 3 3 over three ranks: 11, where 9 can be had, which is just the bound."""
    assert (
        max(sum((5, 5, 4, 4, 3, 3, 3)[item] for item in share) for share in shared_out((5, 5, 4, 4, 3, 3, 3), 3)) == 11
    )


def test_the_largest_is_alone_and_ranks_without_an_item_have_none() -> None:
    assert shared_out([1, 50, 1, 2], 2) == ((1,), (0, 2, 3))
    assert shared_out([7, 9], 4) == ((1,), (0,), (), ())
    assert shared_out([5, 5, 5, 5], 2) == ((0, 2), (1, 3))
    assert shared_out([], 2) == ((), ())


def test_whole_frames_cost_their_square_and_windows_do_not() -> None:
    """Of 32 blocks Qwen2-VL's all see the whole frame, Qwen2.5-VL's 4: of 2 x 2 N^2 numbers of a width of 1280."""
    small, large = (1, 32, 32), (1, 64, 64)
    patches = 32 * 32
    for config, blocks in ((QWEN2, 32), (QWEN2_5, 4)):
        more = item_cost(config, large) - 4 * item_cost(config, small)
        assert more == blocks * 4 * 1280 * ((4 * patches) ** 2 - 4 * patches**2)
    assert item_cost(QWEN2, (5, 32, 32)) == 5 * item_cost(QWEN2, small)


def test_a_large_page_weighs_more_than_its_patches_say() -> None:
    """Two pages or eight frames: by patches the frames are more, by cost the pages are."""
    grids = [(1, 96, 96), (9, 32, 32), (1, 96, 96), (9, 32, 32)]
    patches, costs = [t * h * w for t, h, w in grids], [item_cost(QWEN2, grid) for grid in grids]
    assert patches[0] == patches[1]
    assert costs[0] > 1.3 * costs[1]
    assert shared_out(patches, 2) == ((0, 2), (1, 3))
    assert shared_out(costs, 2) == ((0, 1), (2, 3))


def test_tokens_that_are_gathered_are_filled_up_to_the_most() -> None:
    grids = [(1, 8, 8), (1, 4, 4), (2, 4, 4)]
    assert gathered(QWEN2_5, grids, ((0,), (1, 2))) == Exchange(1, 16 * 3584 * 2)
    assert gathered(QWEN3, grids, ((0,), (1, 2), ())) == Exchange(1, 2 * 16 * 4 * 4096 * 2)
    assert gathered(QWEN2_5, grids, ((0, 1, 2),)) == Exchange(1, 0)


def test_a_split_tower_sums_twice_a_block_and_once_a_merger() -> None:
    """Qwen2.5-VL by hand: 64 sums of [1024, 1280] and one of [256, 3584], of which a ring of two passes on one half."""
    numbers = 64 * 1024 * 1280 + 256 * 3584
    assert summed(QWEN2_5, 1024, 2) == Exchange(65, numbers * 2)
    assert summed(QWEN2_5, 1024, 4) == Exchange(65, 3 * numbers)
    assert summed(QWEN3, 1024, 2).collectives == 2 * 27 + 4
    assert summed(QWEN2_5, 1024, 1).received == 0


def test_each_rank_of_a_split_tower_embeds_all_patches() -> None:
    grids = [(1, 32, 32)]
    embedding = 2 * 1024 * 1176 * 1280
    assert split_cost(QWEN2_5, grids, 1) == item_cost(QWEN2_5, grids[0])
    assert split_cost(QWEN2_5, grids, 4) == embedding + (item_cost(QWEN2_5, grids[0]) - embedding) / 4
    assert all(isinstance(each, Call) or each.flops for each in tower_work(QWEN2_5, grids))


@pytest.mark.parametrize(
    ("ranks", "reason"),
    [(2, ""), (4, ""), (3, "16 heads make no 3 equal parts"), (8, "3,420 columns of its MLP make no 8 equal parts")],
)
def test_what_cannot_be_split_says_why(ranks: int, reason: str) -> None:
    assert why_not_split(QWEN2_5, ranks) == reason
