"""Products and attention that a tower cannot do without."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.kernel_times.boards import products, stored
from vlbench.implementations.config import MODELS
from vlbench.implementations.floor import window_sizes
from vlbench.kernel_times import Board, Call, NotInTablesError, Product, board, boards, floor, tower_work

SEVEN = MODELS["qwen2.5-vl-7b"]
PICTURE = (1, 36, 36)


@pytest.mark.parametrize(
    ("name", "least", "most"), [("b200", 2.2, 2.2), ("h200", 3.3, 3.3), ("h100", 3.4, 3.4), ("l40s", 10, 12)]
)
def test_the_floor_of_one_picture_at_7b(name: str, least: float, most: float) -> None:
    """In ms, one picture of 512x512, worked out by others from the same rows."""
    time = floor(board(name), tower_work(SEVEN, [PICTURE]), "bfloat16")
    assert 0.85 * least <= time.us / 1e3 <= 1.15 * most
    assert time.low < time.us < time.high


def test_the_work_of_a_tower() -> None:
    assert tower_work(SEVEN, [PICTURE]) == (
        Product(1296, 1280, 1176),
        Product(1296, 3840, 1280, 32),
        Product(1296, 1280, 1280, 32),
        Product(1296, 6840, 1280, 32),
        Product(1296, 1280, 3420, 32),
        Product(324, 5120, 5120),
        Product(324, 3584, 5120),
        Call(1, 16, 1296, 80, 4),
        Call(16, 16, 64, 80, 28),
        Call(8, 16, 32, 80, 28, joined=True),
        Call(1, 16, 16, 80, 28, joined=True),
    )
    eight = tower_work(MODELS["qwen3-vl-8b"], [(2, 32, 32), (1, 16, 16)])
    assert eight[-2:] == (Call(2, 16, 1024, 72, 27), Call(1, 16, 256, 72, 27, joined=True))
    assert [each.times for each in eight[:-2]] == [1, 27, 27, 27, 27, 4, 4]
    assert eight[0] == Product(2304, 1152, 1536)


@pytest.mark.parametrize("name", boards())
def test_what_is_joined_to_a_call_has_no_start_of_its_own(name: str) -> None:
    gpu, few = board(name), Call(1, 16, 16, 80)
    alone, joined = (floor(gpu, [replace(few, joined=each)], "bfloat16") for each in (False, True))
    assert 0 <= joined.low <= joined.us <= joined.high
    assert joined.us < 0.2 * alone.us
    work = tower_work(SEVEN, [PICTURE])
    apart = [replace(each, joined=False) if isinstance(each, Call) else each for each in work]
    assert floor(gpu, work, "bfloat16").us < floor(gpu, apart, "bfloat16").us


def test_windows_are_cut_as_the_tower_cuts_them() -> None:
    sizes = window_sizes(SEVEN, PICTURE)
    assert sorted(sizes, reverse=True) == [64] * 16 + [32] * 8 + [16]
    assert sum(window_sizes(SEVEN, (2, 8, 22))) == 2 * 8 * 22


def test_work_counts_as_often_as_it_is_there() -> None:
    gpu = Board(stored(products(lambda n, k, m: 1.0)))
    assert floor(gpu, [Product(64, 1024, 1024, 7)], "bfloat16").us == pytest.approx(7)
    with pytest.raises(NotInTablesError, match="no attention in bfloat16 at head_dim 80"):
        floor(gpu, [Product(64, 1024, 1024), Call(1, 16, 64, 80)], "bfloat16")


@pytest.mark.parametrize("name", boards())
def test_every_shape_of_every_tower_is_in_the_tables(name: str) -> None:
    gpu = board(name)
    for config in MODELS.values():
        for grids in ([PICTURE], [(1, 2, 2)], [(1, 154, 274)], [(1, 100, 76)] * 4, [(8, 34, 46)]):
            assert floor(gpu, tower_work(config, grids), "bfloat16").us > 0
        assert gpu.product(1296, 3 * config.hidden_size, config.hidden_size, "float8_e4m3fn").us > 0
