from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, strategies as st

from vlbench.stats.neighbours import Effects, effects
from vlbench.stats.paired import paired_ratio

Readings = tuple[list[list[int]], list[list[float]]]


def readings(
    logs: list[float], *, rounds: int = 40, drift: float = 0.1, noise: float = 0.02, again: int = 0, seed: int = 0
) -> Readings:
    """Rounds on a machine whose pace wanders; the first variant is called `again` more times in each."""
    draw, pace = random.Random(seed), 0.0
    order, seconds = [], []
    for _ in range(rounds):
        places = [*range(len(logs)), *[0] * again]
        draw.shuffle(places)
        order.append(places)
        seconds.append([])
        for place in places:
            pace = 0.95 * pace + draw.gauss(0, drift)
            seconds[-1].append(math.exp(logs[place] + pace + draw.gauss(0, noise)))
    return order, seconds


def fitted(found: Effects | None) -> Effects:
    assert found is not None
    return found


def by_rounds(order: list[list[int]], seconds: list[list[float]], place: int) -> float:
    ours, reference = (
        [next(t for p, t in zip(*one, strict=True) if p == wanted) for one in zip(order, seconds, strict=True)]
        for wanted in (place, 0)
    )
    return math.log(paired_ratio(ours, reference).ratio)


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=12), st.integers(0, 3), st.integers(0, 1000))
def test_without_noise_the_times_are_found(logs: list[float], again: int, seed: int) -> None:
    found = fitted(effects(*readings(logs, rounds=12, drift=0, noise=0, again=again, seed=seed), len(logs)))
    for place, log in enumerate(logs):
        assert math.log(found.ratio([place], [0]).ratio) == pytest.approx(log - logs[0], abs=1e-6)


def test_a_pace_that_wanders_is_seen_through_where_rounds_are_long() -> None:
    logs = [0.0] * 30
    order, seconds = readings(logs, drift=0.04, noise=0.01)
    found = fitted(effects(order, seconds, len(logs)))
    spread = np.std([math.log(found.ratio([place], [0]).ratio) for place in range(1, 30)])
    assert spread < 0.5 * np.std([by_rounds(order, seconds, place) for place in range(1, 30)])


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    logs = [0.0, 0.03, -0.02, 0.0, 0.5, 0.0, -1.0, 0.01]
    covered = []
    for seed in range(60):
        found = fitted(effects(*readings(logs, rounds=20, seed=seed), len(logs)))
        for place in range(1, len(logs)):
            ratio = found.ratio([place], [0])
            covered.append(math.log(ratio.low) <= logs[place] <= math.log(ratio.high))
    assert 0.92 <= np.mean(covered) <= 0.98


def test_interrupts_move_little() -> None:
    logs = [0.0, 0.03] + [0.0] * 8
    order, seconds = readings(logs, drift=0.01, noise=0.005)
    before = fitted(effects(order, seconds, 10)).ratio([1], [0]).ratio
    for number in range(0, 40, 8):
        seconds[number][order[number].index(1)] *= 10
    assert fitted(effects(order, seconds, 10)).ratio([1], [0]).ratio == pytest.approx(before, abs=0.005)


def test_who_slows_down_whoever_comes_next_gains_nothing_by_it() -> None:
    order, seconds = readings([0.0] * 10, drift=0.01, noise=0.01)
    for one, times in zip(order, seconds, strict=True):
        if (after := one.index(3) + 1) < len(one):
            times[after] *= 1.3
    found = fitted(effects(order, seconds, 10))
    assert found.ratio([3], [0]).ratio == pytest.approx(1.0, abs=0.005)


def test_as_many_comparisons_as_unknowns_say_nothing_and_one_more_does() -> None:
    """Two variants have two unknowns: a ratio, and what they leave behind."""
    order, seconds = readings([0.0, 0.3], rounds=1, drift=0.0, noise=0.01, again=6)
    for readings_made, known in ((4, False), (5, True)):  # which compare two times, and three times
        assert (effects([order[0][:readings_made]], [seconds[0][:readings_made]], 2) is not None) is known


def test_the_interval_is_students_with_one_degree_of_freedom_less_than_rounds() -> None:
    found = Effects(np.array([0.0, 0.1]), np.diag([0.0, 0.01**2]), rounds=3)
    assert math.log(found.ratio([1], [0]).high) == pytest.approx(0.1 + 4.302653 * 0.01)


def test_the_usual_deviation_is_1_4826_times_the_median_one() -> None:
    """What interrupts move depends on where comparisons are clipped: the answer to one table of readings."""
    order, seconds = readings([0.0, 0.03, 0.0, 0.1], drift=0.01, noise=0.02)
    for number in range(0, 40, 5):
        seconds[number][order[number].index(1)] *= 1.5
    assert fitted(effects(order, seconds, 4)).logs[1] == pytest.approx(0.0512629, abs=1e-6)


def test_any_two_can_be_compared_and_turned_round() -> None:
    found = fitted(effects(*readings([0.0, 0.2, 0.3, 0.1, 0.0]), 5))
    one, other = found.ratio([1], [2]), found.ratio([2], [1])
    assert one.ratio == pytest.approx(1 / other.ratio)
    assert (one.low, one.high) == pytest.approx((1 / other.high, 1 / other.low))
    assert one.rounds == 40


def test_several_are_taken_together_by_the_mean_of_their_logarithms() -> None:
    found = fitted(effects(*readings([0.0, 0.2, 0.4, 0.1], drift=0.01, noise=0.01), 4))
    one = found.ratio([3], [0, 1, 2])
    assert math.log(one.ratio) == pytest.approx(found.logs[3] - np.mean(found.logs[:3]))
    weights = np.array([-1 / 3, -1 / 3, -1 / 3, 1])
    assert one.standard_error == pytest.approx(math.sqrt(weights @ found.covariance @ weights), rel=0.05)


def test_who_was_never_a_neighbour_cannot_be_placed() -> None:
    apart = [[0, 1, 0, 1, 0, 1, 0, 1], [2, 3, 2, 3, 2, 3, 2, 3]]
    assert effects(apart, [[1.0] * 8] * 2, 4) is None
    assert effects([[0], [1]], [[1.0], [1.0]], 2) is None


@pytest.mark.parametrize("rounds", [4, 6, 10])
def test_variances_are_those_of_means_of_independent_rounds(rounds: int) -> None:
    """Of a mean of n it is their mean square over n - 1, so that all of them twice say (n - 1) / (2n - 1) of that."""
    order, seconds = readings([0.0, 0.1, -0.1, 0.3, 0.0], rounds=rounds)
    once, twice = fitted(effects(order, seconds, 5)), fitted(effects(order * 2, seconds * 2, 5))
    assert once.covariance[1, 1] > 0
    assert twice.logs == pytest.approx(once.logs, abs=1e-6)
    assert twice.covariance == pytest.approx(once.covariance * (rounds - 1) / (2 * rounds - 1), rel=1e-4, abs=1e-12)


def test_wild_times_have_an_interval_as_wide_as_floats_go() -> None:
    wild = Effects(np.array([0.0, 1.0]), np.diag([0.0, 1e8]), rounds=6)
    ratio = wild.ratio([1], [0])
    assert ratio.ratio == pytest.approx(math.e)
    assert 0 < ratio.low < 1e-300
    assert 1e300 < ratio.high < math.inf
