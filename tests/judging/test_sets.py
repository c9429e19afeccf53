"""A vote that goes on until the threshold shows, with known truth."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from vlbench.judging.sets import shows, times_more, vote_in_sets
from vlbench.judging.verdict import CALLED, Floors, Judgement, Verdict
from vlbench.judging.vote import confirm, vote
from vlbench.stats.paired import Estimate

FLOORS = Floors()
MOST = 40
"""Trials of one vote that there is time for."""


def drawn(draw: random.Random, change: float, spread: float) -> Estimate:
    """A normal trial; one in thirty is off by 20 % more."""
    wild = draw.choice((-0.2, 0.2)) if draw.random() < 1 / 30 else 0.0
    middle = math.log1p(change) + draw.gauss(0, spread) + wild
    return Estimate(math.exp(middle), math.exp(middle - 0.004), math.exp(middle + 0.004), 30, 0.95)


def compared(draw: random.Random, change: float, spread: float) -> Judgement:
    """Five trials at a time until they show the threshold, then as many again where a change is called."""
    trials: list[Estimate] = []
    while len(trials) < MOST and not (trials and shows(trials, FLOORS)):
        trials += [drawn(draw, change, spread) for _ in range(5)]
    first = vote_in_sets(trials, FLOORS)
    if first.verdict not in CALLED:
        return first
    return confirm(first, vote_in_sets([drawn(draw, change, spread) for _ in trials], FLOORS))


def verdicts(change: float, spread: float, count: int = 200) -> Counter[Verdict]:
    draw = random.Random(1)
    return Counter(compared(draw, change, spread).verdict for _ in range(count))


@pytest.mark.parametrize("spread", [0.01, 0.03])
def test_identical_programs_are_not_called_and_nearly_all_are_decided(spread: float) -> None:
    found = verdicts(0.0, spread)
    assert not found.keys() & set(CALLED)
    assert found[Verdict.SAME] >= 180


@pytest.mark.parametrize("spread", [0.01, 0.03])
def test_a_change_of_the_threshold_is_called(spread: float) -> None:
    found = verdicts(FLOORS.threshold, spread)
    assert found[Verdict.REGRESSED] >= 170
    assert found[Verdict.SAME] <= 3
    assert not found[Verdict.IMPROVED]


@pytest.mark.parametrize(("count", "spread"), [(10, 0.03), (20, 0.03), (40, 0.05)])
def test_the_change_that_sets_print_is_called_and_confirmed_four_times_in_five(count: int, spread: float) -> None:
    draw, caught = random.Random(count), 0
    for _ in range(300):
        seen = vote_in_sets([drawn(draw, 0.0, spread) for _ in range(count)], FLOORS).visible
        assert seen is not None
        votes = [[drawn(draw, seen, spread) for _ in range(count)] for _ in range(2)]
        caught += confirm(*(vote_in_sets(each, FLOORS) for each in votes)).verdict is Verdict.REGRESSED
    assert 0.75 <= caught / 300 <= 0.95


def test_when_to_stop_does_not_depend_on_what_trials_say() -> None:
    draw = random.Random(2)
    stops = set()
    for change in (-0.1, 0.0, 0.05, 0.5):
        draw.seed(3)
        trials = [drawn(draw, change, 0.03) for _ in range(MOST)]
        stops.add(tuple(shows(trials[:count], FLOORS) for count in range(5, MOST, 5)))
    (stop,) = stops
    assert True in stop
    assert False in stop


def test_fewer_than_two_trials_a_set_are_the_usual_vote() -> None:
    trials = [Estimate(1.1, 1.09, 1.11, 30, 0.95)] * 9
    assert vote_in_sets(trials, FLOORS) == vote(trials, FLOORS)
    assert not shows(trials, FLOORS)
    ten = vote_in_sets([*trials, trials[0]], FLOORS)
    assert ten.verdict is Verdict.REGRESSED
    assert ten.reason == (
        "5 of 5 sets of trials are slower by more than 1.0 %, median +10.0 %; "
        "10 trials in 5 sets say +10.0 % to +10.0 %"
    )


def test_what_is_called_lies_on_one_side_with_all_of_its_interval() -> None:
    """Four sets of five say slower, and the trials reach from faster to slower."""
    ratios = [1.06, 1.06, 1.06, 1.06, 0.9, 0.98, 0.98, 0.98, 0.98, 0.9]
    judged = vote_in_sets([Estimate(one, one / 1.001, one * 1.001, 30, 0.95) for one in ratios], FLOORS)
    assert judged.slower == 4
    assert judged.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("visible", "wanted", "times"), [(0.05, 0.05, 1), (0.03, 0.05, 1), (0.09, 0.05, 3.86)])
def test_how_many_more_trials_a_change_takes(visible: float, wanted: float, times: float) -> None:
    assert times_more(visible, wanted, FLOORS) == pytest.approx(times, abs=0.01)
