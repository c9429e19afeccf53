"""Between rows, beyond them, and without them."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from tests.kernel_times.boards import BATCHES, LENGTHS, Times, attention, by_work, products
from vlbench.kernel_times.stored import TimeTable
from vlbench.kernel_times.table import Table, ends, generation, monotone

LOGS = st.lists(st.floats(-5, 5), min_size=1, max_size=30)


@given(LOGS)
def test_monotone_never_falls_and_leaves_alone_what_does_not(values: list[float]) -> None:
    made = monotone(values)
    assert len(made) == len(values)
    assert all(after >= before - 1e-12 for before, after in pairwise(made))
    assert monotone(sorted(values)) == sorted(values)


def test_neighbours_that_fall_are_replaced_by_their_mean() -> None:
    assert monotone([1, 3, 2, 4]) == [1, 2.5, 2.5, 4]
    assert monotone([3, 2, 1]) == [2, 2, 2]


@pytest.mark.parametrize(("n", "k", "m"), [(1024, 1024, 64), (1024, 1024, 100), (2000, 1500, 100), (600, 600, 2)])
def test_what_is_a_power_of_its_sizes_is_found_exactly(n: int, k: int, m: int) -> None:
    found = Table(products(by_work)).at(n, k, m)
    assert math.exp(found.log_us) == pytest.approx(by_work(n, k, m), rel=1e-9)
    assert (found.beyond, found.residual) == (1, pytest.approx(0, abs=1e-12))


def test_the_rows_that_are_named_are_the_nearest() -> None:
    found = Table(products(by_work)).at(1024, 700, 100)
    assert found.between == ("k", "m")
    assert {row.sizes for row in found.rows} == {
        (("n", 1024), ("k", k), ("m", m)) for k in (512, 1024) for m in (64, 256)
    }
    assert str(found.rows[0]).startswith("one 1 n=1024 k=512 m=64: 0.1")


def test_beyond_the_last_row_work_decides_and_is_told() -> None:
    table = Table(products(by_work))
    found = table.at(1024, 4096, 1536)  # k twice, and m half as much again
    assert found.beyond == pytest.approx(3)
    assert math.exp(found.log_us) == pytest.approx(by_work(1024, 4096, 1536))
    longer = Table(attention(lambda heads, batch, length: heads * batch * length**2 / 1e6)).at(16, 1, 1536)
    assert longer.beyond == pytest.approx(2.25)
    for sizes in ((1024, 1024, 5000), (511, 1024, 64), (1024, 8200, 64)):
        with pytest.raises(LookupError):
            table.at(*sizes)
    many = Table(attention(lambda heads, batch, length: heads * batch * length**2 / 1e6)).at(16, 16 * 60, 64)
    assert many.beyond == pytest.approx(60)


def in_waves(heads: int, batch: int, length: int) -> float:
    """Blocks of 128 queries on 100 multiprocessors, each of which takes as long as there are keys."""
    return math.ceil(heads * batch * math.ceil(length / 128) / 100) * (5 + length / 100)


def of_2(time: Times) -> TimeTable:
    """By a kernel that shares out queries alone."""
    return attention(time).model_copy(update={"kernel": "flash_attn_fa2"})


def test_attention_between_rows_goes_by_its_waves_of_blocks() -> None:
    """16 x 16 sequences of 120 are 3 waves, as of 64 and of 128; the next row is 6, and a line is far above."""
    known, plain = Table(attention(in_waves), sms=100), Table(attention(in_waves))
    wanted = in_waves(16, 16, 120)
    assert math.exp(known.at(16, 16, 120).log_us) == pytest.approx(wanted, rel=0.05)
    assert math.exp(plain.at(16, 16, 120).log_us) > 1.4 * wanted
    assert known.at(16, 16, 256).log_us == plain.at(16, 16, 256).log_us, "a row is a row"


def test_a_batch_between_two_has_waves_of_its_own() -> None:
    """12 x 16 blocks are 2 waves, of 4 sequences 1, of 16 three: a line says 2.4."""
    known, plain, torchs = Table(of_2(in_waves), sms=100), Table(of_2(in_waves)), Table(attention(in_waves), sms=100)
    wanted = in_waves(16, 12, 64)
    assert math.exp(known.at(16, 12, 64).log_us) == pytest.approx(wanted)
    assert torchs.at(16, 12, 64).log_us == plain.at(16, 12, 64).log_us, "it shares out the keys of few sequences"
    assert math.exp(plain.at(16, 12, 64).log_us) > 1.15 * wanted
    assert known.at(16, 12, 64).rows == plain.at(16, 12, 64).rows
    assert known.at(16, 12, 64).between == ("batch",)


def test_a_pair_between_two_tells_how_far_its_own_curve_was_bent_so_as_not_to_fall() -> None:
    """From 64 to 256 keys the waves of 4 and of 16 sequences double, of 7 they go from 2 to 3: it falls."""
    table = Table(of_2(lambda heads, batch, length: 20.0), sms=100)
    assert table.at(16, 4, 64).residual == table.at(16, 16, 64).residual == 0 < table.at(16, 7, 64).residual


def test_a_pair_between_two_that_have_few_steps_in_common_ends_with_them() -> None:
    whole = of_2(in_waves)
    holes = {(16, 4): {256}, (16, 16): {1024}}
    us = tuple(
        tuple(None if step in holes.get(pair, ()) else time for step, time in zip(LENGTHS, row, strict=True))
        for pair, row in zip(whole.pairs, whole.us, strict=True)
    )
    table = Table(whole.model_copy(update={"us": us}), sms=100)
    assert table.at(16, 12, 128).beyond == pytest.approx((128 / 64) ** 2)
    with pytest.raises(LookupError):
        table.at(16, 12, 512)
    none = tuple(
        tuple(time if step == LENGTHS[at % 2] else None for step, time in zip(LENGTHS, row, strict=True))
        for at, row in enumerate(whole.us)
    )
    with pytest.raises(LookupError):
        Table(whole.model_copy(update={"us": none}), sms=100).at(16, 12, 64)


def test_a_kernel_shares_out_blocks_of_its_own_size() -> None:
    """Of 192 queries 16 x 6 x 1 are one wave, of 128 two."""
    kernels = (
        "vllm_vit_flash_attn_fa3",
        "flash_attention_v4",
        "vllm_vit_flash_attn_fa2",
        "scaled_dot_product_attention",
    )
    tables = [Table(attention(in_waves).model_copy(update={"kernel": kernel}), sms=100) for kernel in kernels]
    assert [each.block for each in tables] == [192, 256, 128, 128]
    assert generation("vllm_vit_flash_attn_fa4") == generation("flash_attention_v4") == "4"
    assert generation("vllm_vit_flash_attn_fa2") != generation("triton")
    short, long = (tables[0].at(16, 6, length).log_us for length in (130, 190))
    assert math.exp(long - short) < 1.5, "both are one wave"


def test_waves_never_make_times_fall_with_length() -> None:
    """Nor where a wave of the longer row took less, as noise may have it."""
    odd = Table(attention(lambda heads, batch, length: 20 + 3 * (length > 100)), sms=100)
    for table in (odd, Table(attention(in_waves), sms=100), Table(of_2(in_waves), sms=100)):
        for batch in (1, 3, 9, 12, 16):
            times = [table.at(16, batch, length).log_us for length in range(LENGTHS[0], LENGTHS[-1], 3)]
            assert all(after >= before - 1e-9 for before, after in pairwise(times))


def test_a_row_that_is_hidden_is_not_used() -> None:
    spike = lambda heads, batch, length: 1000.0 if length == 256 else heads * batch * length**2 / 1e6  # noqa: E731
    table = Table(attention(spike))
    assert table.at(16, 4, 256).log_us == pytest.approx(math.log(1000), abs=2)
    assert math.exp(table.at(16, 4, 256, {"length"}).log_us) == pytest.approx(16 * 4 * 256**2 / 1e6)
    assert {row.sizes[1][1] for row in table.at(16, 4, 64, {"batch"}).rows} == {BATCHES[0], BATCHES[2]}
    assert {row.sizes[2][1] for row in table.at(16, 4, 100, {"length"}).rows} == set(LENGTHS[1:3])


def test_a_size_between_two_is_weighed_by_its_logarithm() -> None:
    assert ends((1, 100), 10) == (((0, pytest.approx(0.5)), (1, pytest.approx(0.5))), 1.0)
    assert ends((1, 10, 100), 10) == (((1, 1.0),), 1.0)
    assert ends((1, 10, 100), 10, hidden=True)[0] == ((0, pytest.approx(0.5)), (2, pytest.approx(0.5)))
    assert ends((1, 10), 40) == (((1, 1.0),), 4.0)
    with pytest.raises(LookupError):
        ends((2, 10), 1)
