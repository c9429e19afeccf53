from __future__ import annotations

from hypothesis import given, strategies as st

from tests.export.rendered import shown
from vlbench.export.cutting import cut, told_apart
from vlbench.export.sheet import Column, Table

VECTORISED = (
    "void at::native::vectorized_elementwise_kernel<4, at::native::{}Functor<float>, std::array<char*, 1>>(int)"
)
KERNELS = [VECTORISED.format(name) for name in ("Fill", "Add", "Mul")] + ["gemm", "void cutlass::Kernel2<sm80_16x8>()"]


def test_a_name_that_fits_is_whole_and_another_loses_its_middle() -> None:
    assert cut("gemm", 12) == "gemm"
    assert cut("abcdefghijklmnopqrstuvwxyz", 11) == "abcde\N{HORIZONTAL ELLIPSIS}vwxyz"


def test_kernels_that_differ_in_the_middle_are_told_apart() -> None:
    found = told_apart(KERNELS, 34)
    assert len(set(found)) == len(KERNELS)
    assert max(map(len, found)) <= 34
    assert all(name in text for name, text in zip(("Fill", "Add", "Mul", "gemm"), found, strict=False))


def test_two_letters_before_the_difference_are_shown_with_it() -> None:
    first, second = told_apart(["a" * 40 + "mn" + end + "b" * 40 for end in "xy"], 20)
    assert "\N{HORIZONTAL ELLIPSIS}mnx" in first
    assert "\N{HORIZONTAL ELLIPSIS}mny" in second


def test_the_same_name_is_shown_alike() -> None:
    long = KERNELS[0]
    assert len(set(told_apart([long, long], 20))) == 1


@given(
    st.lists(st.text("ab<", min_size=1, max_size=60).map(lambda text: "kernel" + text + "(float*)"), max_size=12),
    st.integers(12, 40),
)
def test_no_two_names_look_alike(names: list[str], width: int) -> None:
    found = told_apart(names, width)
    assert all(len(text) <= width for text in found)
    assert len(set(found)) == len(set(names))


def test_a_table_of_kernels_fits_into_80_columns() -> None:
    columns = [Column("kernel", cut=True), "n", "total"]
    lines = shown([Table("kernels", columns, [(name, 12345, "1.23 ms") for name in KERNELS])]).splitlines()
    assert max(map(len, lines)) <= 80
    assert len({line.split("  ")[0] for line in lines[1:]}) == len(KERNELS)
