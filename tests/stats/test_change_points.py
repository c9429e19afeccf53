"""Levels of times: found where they are, none in noise, none of fewer readings than a level takes."""

from __future__ import annotations

import math
from random import Random

import pytest

from vlbench.stats.change_points import FLOOR, SMALLEST, change_points

pytest.importorskip("ruptures")


def noisy(levels: list[float], each: int, noise: float, seed: int) -> list[float]:
    random = Random(seed)
    return [level * math.exp(random.gauss(0, noise)) for level in levels for _ in range(each)]


@pytest.mark.parametrize("seed", range(5))
def test_a_step_is_found_where_it_is(seed: int) -> None:
    assert change_points(noisy([10.0, 10.6], 12, 0.01, seed)) == [12]
    assert change_points(noisy([1e-3, 2e-3, 1e-3], 8, 0.02, seed)) == [8, 16]


@pytest.mark.parametrize("seed", range(5))
def test_a_step_of_a_tenth_is_found_where_readings_are_off_by_little(seed: int) -> None:
    (place,) = change_points(noisy([10.0, 11.0], 30, 0.03, seed))
    assert abs(place - 30) <= 2
    assert change_points(noisy([10.0, 11.0], 30, 0.12, seed)) == []


def test_noise_alone_has_few_levels() -> None:
    """Of 60 series without any change; a fixed seed, so it always says the same."""
    assert sum(bool(change_points(noisy([5.0], 30, 0.03, seed))) for seed in range(60)) <= 3


@pytest.mark.parametrize("slow", [0.2, 0.3])
def test_readings_that_are_slow_by_chance_are_no_level(slow: float) -> None:
    """Of 30 series: it was in 11 and 23 of them while no more counted as noise than lies about most of the readings."""
    random = Random(1)
    of_noise = [noisy([5.0], 30, 0.005, seed) for seed in range(30)]
    every = [[each * (1.2 if random.random() < slow else 1) for each in times] for times in of_noise]
    assert sum(bool(change_points(times)) for times in every) <= 2


def test_exactly_level_times_have_none_and_a_step_below_the_floor_is_none() -> None:
    assert change_points([3.0] * 40) == []
    assert change_points([3.0] * 20 + [3.0 * (1 + FLOOR / 2)] * 20) == []
    assert change_points([3.0] * 20 + [3.0 * (1 + FLOOR * 2)] * 20) == [20]


def test_one_wild_reading_is_no_level() -> None:
    times = noisy([5.0], 30, 0.01, 1)
    times[13] *= 3
    assert change_points(times) == []


@pytest.mark.parametrize(
    ("proposed", "found"), [([[], [5]], [5]), ([[], [], [5]], []), ([[], [5], [], [5, 10]], [5, 10])]
)
def test_after_two_proposals_in_vain_no_more_is_tried(
    proposed: list[list[int]], found: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is found once more begins the count anew."""
    monkeypatch.setattr("vlbench.stats.change_points._proposals", lambda _: iter(proposed))
    assert change_points([10.0] * 5 + [20.0] * 5 + [20.6] * 5) == found


def test_of_too_few_nothing_is_said() -> None:
    assert change_points([1.0] * (SMALLEST - 1) + [9.0] * SMALLEST) == []
    assert change_points([1.0] * SMALLEST + [9.0] * SMALLEST) == [SMALLEST]
    assert change_points([10.0] * 5 + [12.0] * 5) == [5]
