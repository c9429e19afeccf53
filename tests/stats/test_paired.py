"""One trial's ratio and interval."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.stats import binom, t

from vlbench.stats.paired import Estimate, median_ratio, paired_ratio, precise_enough, student

ratios = st.lists(st.floats(0.1, 10), min_size=1, max_size=40)


def test_a_ratio_above_one_is_slower() -> None:
    estimate = paired_ratio([0.030, 0.031, 0.033], [0.020, 0.020, 0.022])
    assert estimate.ratio == pytest.approx(1.5)
    assert estimate.speedup == pytest.approx(1 / 1.5)


def test_rounds_are_paired_so_that_a_shared_slow_down_cancels() -> None:
    slow = [1.0, 7.0, 1.0, 3.0, 1.0, 9.0]
    estimate = paired_ratio([1.02 * each for each in slow], slow)
    assert estimate.ratio == pytest.approx(1.02)
    assert estimate.half_width == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("count", [6, 15, 40])
def test_the_interval_covers_the_true_median_as_often_as_it_says(count: int) -> None:
    noise = np.random.default_rng(7).gamma(2.0, 1.0, size=(2000, count))  # skewed: mean 2, median 1.678
    true_median = 1.67834699
    estimates = [median_ratio(row.tolist()) for row in noise]
    covered = np.mean([each.low <= true_median <= each.high for each in estimates])
    claimed = estimates[0].confidence
    assert claimed >= 0.95
    assert covered == pytest.approx(claimed, abs=3 * math.sqrt(claimed * (1 - claimed) / 2000))


def test_few_rounds_say_how_little_their_range_is_worth() -> None:
    assert median_ratio([1.1]) == Estimate(pytest.approx(1.1), pytest.approx(1.1), pytest.approx(1.1), 1, 0.0)
    five = median_ratio([1.0, 1.1, 1.2, 1.3, 1.4])
    assert (five.low, five.high) == (pytest.approx(1.0), pytest.approx(1.4))
    assert five.confidence == pytest.approx(1 - 2 / 2**5)


def test_the_standard_error_is_that_of_a_normal_sample() -> None:
    noise = np.exp(np.random.default_rng(3).normal(0, 0.02, size=401))
    expected = 0.02 * math.sqrt(math.pi / 2 / 401)  # of the median of a normal sample
    assert median_ratio(noise.tolist()).standard_error == pytest.approx(expected, rel=0.35)
    assert median_ratio([1.1]).standard_error == 0


@given(ratios)
def test_the_interval_holds_its_ratio_and_the_inverse_mirrors_it(values: list[float]) -> None:
    estimate, mirror = median_ratio(values), median_ratio([1 / value for value in values])
    assert estimate.low <= estimate.ratio * (1 + 1e-12)
    assert estimate.ratio <= estimate.high * (1 + 1e-12)
    assert mirror.ratio == pytest.approx(1 / estimate.ratio)
    assert (mirror.low, mirror.high) == (pytest.approx(1 / estimate.high), pytest.approx(1 / estimate.low))


def test_more_confidence_is_never_narrower() -> None:
    values = np.exp(np.random.default_rng(1).normal(size=30)).tolist()
    widths = [median_ratio(values, confidence=level).half_width for level in (0.5, 0.8, 0.95, 0.99, 0.999)]
    assert all(narrow <= wide for narrow, wide in pairwise(widths))


def test_precise_enough_asks_for_width_and_confidence_and_not_for_the_answer() -> None:
    narrow = [1.0, 1.001, 1.002, 1.003, 1.004, 1.005]
    assert precise_enough(median_ratio(narrow), half_width=0.005)
    assert precise_enough(median_ratio([3 * each for each in narrow]), half_width=0.005)
    assert not precise_enough(median_ratio(narrow[:5]), half_width=0.005)  # 93.75 % at best
    assert not precise_enough(median_ratio([1.0, 1.1, 1.2, 0.9, 1.3, 1.4]), half_width=0.005)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_a_time_that_is_no_time_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite and positive"):
        paired_ratio([1.0, bad], [1.0, 1.0])


def test_rounds_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="2 rounds of the variant do not pair with 1"):
        paired_ratio([1.0, 1.0], [1.0])
    with pytest.raises(ValueError, match="no rounds"):
        paired_ratio([], [])


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
def test_the_interval_of_a_median_is_the_binomials(confidence: float) -> None:
    for count in (*range(1, 60), 1000):
        estimate = median_ratio([1 + number for number in range(count)], confidence=confidence)
        outside = round(estimate.low) - 1
        assert count - round(estimate.high) == outside
        assert outside == max(1, int(binom.ppf((1 - confidence) / 2, count, 0.5))) - 1
        assert estimate.confidence == pytest.approx(max(0.0, 1 - 2 * binom.cdf(outside, count, 0.5)))


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("freedom", [1.0, 2.37, 4.0, 99.9, 12345.0])
def test_students_t_is_that_of_scipy_to_the_bit(freedom: float, confidence: float) -> None:
    assert student(freedom, confidence) == t.ppf((1 + confidence) / 2, freedom)
