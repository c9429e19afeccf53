"""What a number of rows proves."""

from __future__ import annotations

import pytest

from vlbench.judging.evidence import expected_false_rows, upper_bound


def test_a_big_matrix_expects_false_rows() -> None:
    assert expected_false_rows(1000) == pytest.approx(0.3)
    assert expected_false_rows(20, 0.05) == pytest.approx(1.0)


def test_none_in_two_hundred_shows_under_one_and_a_half_per_cent() -> None:
    assert upper_bound(0, 200) == pytest.approx(1 - 0.05 ** (1 / 200))
    assert 0.0148 < upper_bound(0, 200) < 0.015
    assert upper_bound(200, 200) == 1
    assert upper_bound(1, 200) > upper_bound(0, 200)


def test_more_events_than_cases_is_refused() -> None:
    with pytest.raises(ValueError, match="k"):
        upper_bound(3, 2)
