"""Shares and times as people write and read them."""

from __future__ import annotations

import pytest

from vlbench.errors import UsageError
from vlbench.judging.words import (
    change,
    duration,
    few,
    in_digits,
    milliseconds,
    number_of,
    parse_share,
    percent,
    readable_bytes,
)


@pytest.mark.parametrize("text", ["2.5%", "0.025", " 2.5 % ", "2.50%"])
def test_a_share_is_written_either_way(text: str) -> None:
    assert parse_share(text, "--threshold") == pytest.approx(0.025)


@pytest.mark.parametrize("text", ["five", "", "%", "-1%", "nan", "inf", "5", "100%"])
def test_what_is_no_share_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match=r"--threshold .* is not a share; write it as 2\.5% or 0\.025"):
        parse_share(text, "--threshold")


def test_changes_are_signed_and_nothing_is_minus_nothing() -> None:
    assert [change(ratio) for ratio in (1.025, 0.9, 0.99999)] == ["+2.5 %", "-10.0 %", "+0.0 %"]
    assert [change(ratio) for ratio in (1235.6, 1.0)] == ["+123,460.0 %", "+0.0 %"]
    assert [percent(share) for share in (0.025, 12.3)] == ["2.5 %", "1,230 %"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (1.23456, "1234.56"), (1e-3, "1.00"), (9.9e-4, "0.990"), (5.678e-6, "0.00568"), (1e-7, "0.000100")],
)
def test_milliseconds(seconds: float | None, text: str) -> None:
    assert milliseconds(seconds) == text


def test_the_ends_of_what_is_a_share() -> None:
    assert [parse_share(text, "") for text in ("0", "0%", "99.9%")] == [0, 0, pytest.approx(0.999)]
    assert [percent(share) for share in (9.999, 10)] == ["999.9 %", "1,000 %"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (1.0, "1 s"),
        (0.9999, "999.9 ms"),
        (1e-3, "1 ms"),
        (1e-6, "1 us"),
        (5e-10, "0.5 ns"),
        (13160.4, "13,160 s"),
    ],
)
def test_a_duration_has_the_largest_unit_of_which_it_is_one(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (17.0123, "17.01"),
        (13160.4, "13,160"),
        (99_996.0, "100,000"),
        (-1.5e6, "-1,500,000"),
        (0.00001316, "0.00001316"),
        (1e20, "1e+20"),
        (1e-20, "1e-20"),
    ],
)
def test_a_figure_has_four_digits_and_no_exponent_that_anybody_would_write_out(value: float, text: str) -> None:
    assert in_digits(value) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (999_400, "999 kB"), (999_600, "1000 kB"), (-2e6, "-2 MB")],
)
def test_bytes_have_three_digits_and_never_an_exponent(count: float, text: str) -> None:
    assert readable_bytes(count) == text


def test_a_few_of_many_names_and_how_many_more() -> None:
    assert [few(names, 2) for names in ("a", "ab", "abc", "abcd")] == [
        "a",
        "a, b",
        "a, b and 1 more",
        "a, b and 2 more",
    ]


def test_one_of_a_thing_has_no_plural() -> None:
    assert [number_of(count, "cell") for count in (0, 1, 1200)] == ["0 cells", "1 cell", "1,200 cells"]
    assert [number_of(count, "batch", "batches") for count in (1, 2)] == ["1 batch", "2 batches"]
