"""Every frame is in one pack, no pack is fuller than its graph, and what has no room is said."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from tests.implementations.grids import Batch, batches
from vlbench.implementations.execution.budgeted import parted
from vlbench.implementations.packing import Budgets, Pack, Piece, pack, powers_of_two

sizes = st.lists(st.integers(1, 64).map(lambda cells: 4 * cells), min_size=1, max_size=4)


@given(batch=batches, sizes=sizes, most=st.sampled_from([0.0, 0.125, 0.5, 1.0]))
def test_every_frame_is_in_one_pack_that_has_room_for_it(batch: Batch, sizes: list[int], most: float) -> None:
    budgets = Budgets(tuple(sizes), most)
    packs = pack(batch, budgets)
    frames = [(each.item, frame) for one in packs for each in one.pieces for frame in range(each.start, each.stop)]
    assert sorted(frames) == [(item, frame) for item, (t, _, _) in enumerate(batch) for frame in range(t)]
    for one in packs:
        assert list(one.pieces) == sorted(one.pieces, key=lambda piece: (piece.item, piece.start))
        assert one.frames == sum(piece.stop - piece.start for piece in one.pieces)
        assert one.patches == sum(stop - start for start, stop in parted(one, batch)[0])
        if one.budget:
            assert one.patches <= one.budget
            assert one.frames <= budgets.frames(one.budget)
            assert one.padding <= most * one.budget
        else:  # it is alone, or there is no graph that is full enough
            assert one.frames == 1 or most < 1


def test_what_fits_is_one_pack_in_the_smallest_graph() -> None:
    batch = ((1, 8, 8), (2, 4, 4), (1, 2, 2))
    assert pack(batch, Budgets((64, 128, 256))) == [
        Pack((Piece(0, 0, 1), Piece(1, 0, 2), Piece(2, 0, 1)), patches=100, frames=4, budget=128)
    ]


def test_a_video_is_parted_between_frames() -> None:
    packs = pack([(5, 8, 8)], Budgets((128,)))
    assert [one.pieces for one in packs] == [(Piece(0, 0, 2),), (Piece(0, 2, 4),), (Piece(0, 4, 5),)]
    assert parted(packs[1], [(5, 8, 8)]) == ([(128, 256)], [(2, 8, 8)])
    assert [one.padding for one in packs] == [0, 0, 64]


def test_a_frame_above_the_largest_graph_is_alone_and_has_none() -> None:
    packs = pack([(1, 16, 16), (1, 2, 2)], Budgets((128,)))
    assert [(one.patches, one.budget) for one in packs] == [(4, 128), (256, None)]


def test_padding_above_the_limit_runs_without_a_graph() -> None:
    """One stack pads an eighth at most, where powers of two pad up to half."""
    (loose,), (strict,) = (pack([(1, 6, 12)], Budgets((128,), most)) for most in (1.0, 0.125))
    assert (loose.budget, loose.padding) == (128, 56)
    assert (strict.budget, strict.padding) == (None, 0)


def test_icons_have_room_in_number() -> None:
    icons = [(1, 2, 2)] * 40
    packs = pack(icons, Budgets((256,)))
    assert [one.frames for one in packs] == [4] * 10


@pytest.mark.parametrize("sizes", [(), (0,), (6,), (-4,), (64, 65)])
def test_sizes_that_are_none_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"give multiples of 4 patches, a token each$"):
        Budgets(sizes)


def test_shares_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^most_padding is nan; give a share from 0 to 1$"):
        Budgets((64,), float("nan"))


def test_usual_sizes_are_64_to_8192_tokens() -> None:
    assert powers_of_two(4, 20) == (4, 8, 16)
    assert [size // 4 for size in Budgets().patches] == [64, 128, 256, 512, 1024, 2048, 4096, 8192]
