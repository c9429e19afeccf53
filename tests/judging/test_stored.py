"""The vote against stored trials: false alarms and power of simulated gates, and what must hold of any input."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st

from vlbench.judging.stored import vote_against
from vlbench.judging.verdict import Floors, Verdict
from vlbench.judging.vote import confirm
from vlbench.stats.paired import Estimate

FLOORS = Floors()
OPPOSITE = {Verdict.REGRESSED: Verdict.IMPROVED, Verdict.IMPROVED: Verdict.REGRESSED}
CALLED = (Verdict.REGRESSED, Verdict.IMPROVED)


def trials(*ratios: float, error: float = 0.001) -> list[Estimate]:
    """Trials of 30 rounds, whose intervals are worth `error` in standard errors of the logarithm."""
    half = math.exp(1.96 * error)
    return [Estimate(ratio, ratio / half, ratio * half, 30, 0.95) for ratio in ratios]


def agreed(*ratios: float) -> list[Estimate]:
    """Trials whose rounds agree to the last digit."""
    return trials(*ratios, error=0.0)


def gate(rng: np.random.Generator, effect: float, noise: float, odd: float = 0.0) -> Verdict:
    """The verdict of one gate run: a baseline of its own, a vote, and a second vote over a suspect."""

    def drawn(change: float) -> list[Estimate]:
        return trials(*(0.8 * (1 + change) * np.exp(rng.normal(0, noise, 5))))

    stored = drawn(0.0)
    stored[0:1] = trials(stored[0].ratio * (1 + odd))
    first = vote_against(stored, drawn(effect), FLOORS)
    if first.verdict not in CALLED:
        return first.verdict
    return confirm(first, vote_against(stored, drawn(effect), FLOORS)).verdict


@cache
def gates(effect: float, noise: float, odd: float = 0.0, runs: int = 400) -> dict[Verdict, float]:
    """The share of each verdict."""
    rng = np.random.default_rng(round(1e4 * (1 + effect + noise + odd)))
    counted = Counter(gate(rng, effect, noise, odd) for _ in range(runs))
    return {verdict: counted[verdict] / runs for verdict in Verdict}


def test_identical_programs_are_not_called_in_thousands_of_gates() -> None:
    for noise in (0.003, 0.01):
        found = gates(0.0, noise, runs=2000)
        assert found[Verdict.REGRESSED] + found[Verdict.IMPROVED] <= 1 / 2000, found
        assert found[Verdict.SAME] >= 0.85, found


@pytest.mark.parametrize(("effect", "noise", "at_least"), [(0.03, 0.003, 0.99), (0.05, 0.01, 0.93), (0.10, 0.01, 0.99)])
def test_a_change_is_caught(effect: float, noise: float, at_least: float) -> None:
    assert gates(effect, noise)[Verdict.REGRESSED] >= at_least
    assert gates(1 / (1 + effect) - 1, noise)[Verdict.IMPROVED] >= at_least


@pytest.mark.parametrize("odd", [0.25, -0.25])
def test_one_odd_stored_trial_does_not_matter(odd: float) -> None:
    identical = gates(0.0, 0.005, odd)
    assert identical[Verdict.REGRESSED] + identical[Verdict.IMPROVED] == 0
    assert identical[Verdict.SAME] >= 0.98
    assert gates(0.05, 0.005, odd)[Verdict.REGRESSED] >= 0.98


def test_the_error_of_the_stored_median_is_not_called() -> None:
    lucky = trials(1.013, 1.012, 1.014, 0.985, 0.99)  # stored high by 1.2 %, which three of five agree on
    true = trials(1.0, 1.001, 0.999, 1.0, 1.002)
    assert vote_against(lucky, true, FLOORS).verdict not in CALLED
    assert vote_against(trials(*[1.015] * 5), true, FLOORS).verdict is Verdict.IMPROVED  # nothing hints at luck


def test_the_threshold_is_kept_where_stored_trials_are_far_apart() -> None:
    wild = trials(0.80, 0.93, 1.0, 1.08, 1.20)
    blind = vote_against(wild, trials(*[1.0] * 5), FLOORS)
    assert blind.verdict is Verdict.INCONCLUSIVE
    assert blind.reason.startswith("the stored trials differ so much among themselves that only changes beyond 2")
    assert blind.visible is not None
    assert blind.visible > FLOORS.threshold
    assert vote_against(trials(*[1.0] * 5), wild, FLOORS).reason.startswith("the new trials differ so much")
    assert vote_against(wild, trials(1.0), FLOORS).reason == "1 trial is a quick look; a verdict needs 5"
    few = vote_against(wild, trials(1.0, 1.0, 1.0), FLOORS)
    assert few.reason == "only 3 of 5 trials finished and the vote needs 4"
    beyond = vote_against(wild, trials(*[1.6] * 5), FLOORS)  # all that was stored
    assert beyond.verdict is Verdict.REGRESSED
    assert beyond.reason.endswith("(the floor is 1.0 %, and the stored trials differ by 20.0 %)")


def test_a_floor_as_wide_as_the_threshold_is_too_wide() -> None:
    """1 % and trials that differ by 3 % are 4.03 %: a change of just that is never seen for sure."""
    apart, same = agreed(1.0, 1.0, 1.0, 1.03, 1.03), agreed(*[1.0] * 5)
    wide = math.expm1(math.log1p(0.01) + math.log(1.03))  # that, to the last digit
    blind = vote_against(apart, same, Floors(threshold=wide))
    assert (blind.verdict, blind.reason.partition(" differ ")[0]) == (Verdict.INCONCLUSIVE, "the stored trials")
    seen = vote_against(apart, same, Floors(threshold=1.001 * wide))
    assert (seen.verdict, seen.visible) == (Verdict.SAME, pytest.approx(1.01 * 1.03 - 1))


def test_rounds_that_disagree_blind_a_vote_and_do_not_silence_it() -> None:
    steady, shaky = trials(*[1.0] * 5), trials(*[1.0] * 5, error=0.10)
    assert vote_against(steady, shaky, FLOORS).verdict is Verdict.INCONCLUSIVE
    assert vote_against(steady, trials(*[1.05] * 5, error=0.10), FLOORS).verdict is Verdict.REGRESSED


def test_the_interval_holds_what_both_sides_leave_open() -> None:
    judged = vote_against(trials(0.79, 0.80, 0.80, 0.80, 0.82), trials(0.87, 0.88, 0.88, 0.89, 0.88), FLOORS)
    assert judged.estimate is not None
    assert judged.estimate.ratio == pytest.approx(1.1)
    assert judged.estimate.low == pytest.approx(0.87 / 0.82)
    assert judged.estimate.high == pytest.approx(0.89 / 0.79)
    assert judged.estimate.confidence == pytest.approx(1 - 2 * (1 - 0.9375))


def test_one_trial_a_side_is_a_quick_look_with_the_rounds_intervals() -> None:
    old, new = trials(0.8, error=0.01), trials(0.88, error=0.01)
    for stored, fresh in ((old, new), (trials(*[0.8] * 5), new), (old, trials(*[0.88] * 5))):
        judged = vote_against(stored, fresh, FLOORS)
        assert judged.verdict is Verdict.INCONCLUSIVE
        assert judged.visible is None
        assert judged.estimate is not None
        assert judged.estimate.ratio == pytest.approx(1.1)
    assert vote_against(old, new, FLOORS).reason == (
        "1 trial is stored, and a verdict needs 4; store 5 (`vlbench run --trials 5`)"
    )
    quick = vote_against(old, new, FLOORS).estimate
    assert quick is not None
    assert (quick.low, quick.confidence) == (pytest.approx(1.1 * math.exp(-2 * 0.0196)), pytest.approx(0.90))
    of_one_round = vote_against([replace(old[0], rounds=1, confidence=0.0)], new, FLOORS).estimate
    assert of_one_round is not None
    assert of_one_round.confidence == 0.0  # and not 0 + 0.95 - 1


def test_four_stored_trials_are_enough_for_a_verdict_and_three_are_not() -> None:
    slower = trials(*[1.05] * 5)
    assert vote_against(trials(*[1.0] * 4), slower, FLOORS).verdict is Verdict.REGRESSED
    few = vote_against(trials(*[1.0] * 3), slower, FLOORS)
    assert (few.verdict, few.reason) == (
        Verdict.INCONCLUSIVE,
        "3 trials are stored, and a verdict needs 4; store 5 (`vlbench run --trials 5`)",
    )


def test_trials_that_agree_are_not_said_to_differ() -> None:
    steady = vote_against(trials(*[1.0] * 5), trials(*[1.05] * 5), FLOORS)
    assert "differ" not in steady.reason
    apart = vote_against(trials(0.97, 0.99, 1.0, 1.01, 1.03), trials(*[1.2] * 5), FLOORS)
    assert "(the floor is 1.0 %, and the stored trials differ by 3.0 %)" in apart.reason
    for ends, told in ((1.0004, False), (1.0006, True)):  # from 0.05 % on
        hardly = vote_against(agreed(1.0, 1.0, 1.0, ends, ends), trials(*[1.05] * 5), FLOORS)
        assert ("the stored trials differ" in hardly.reason) is told


def test_what_shows_is_no_less_than_the_interval_leaves_open() -> None:
    stored, wide = trials(0.80, 0.99, 1.0, 1.01, 1.20), trials(1.25, 1.28, 1.3, 1.31, 1.6)
    called = vote_against(stored, wide, FLOORS)
    assert (called.verdict, called.estimate is not None) == (Verdict.REGRESSED, True)
    assert called.visible == pytest.approx(called.estimate.half_width)  # type: ignore[union-attr]
    blind = vote_against(stored, trials(0.93, 0.999, 1.0, 1.001, 1.07), FLOORS)
    assert blind.visible is not None
    assert blind.visible >= blind.estimate.half_width  # type: ignore[union-attr]


def test_an_interval_as_wide_as_what_shows_is_that_of_all_trials() -> None:
    """Both are 0. Of five trials all range is worth 94 %, so of two sides 88 %."""
    judged = vote_against(agreed(*[1.0] * 5), agreed(*[1.0] * 5), Floors(relative=0.0))
    assert (judged.verdict, judged.visible) == (Verdict.SAME, 0.0)
    assert judged.estimate is not None
    assert judged.estimate.confidence == 1 - 2 / 16


def test_what_shows_is_no_less_than_the_floor_where_all_but_an_outvoted_trial_agree() -> None:
    judged = vote_against(agreed(1.0, 1.0, 1.0, 1.0, 1.3), agreed(*[1.0] * 5), FLOORS)
    assert (judged.verdict, judged.visible) == (Verdict.SAME, pytest.approx(0.01))
    assert judged.estimate is not None
    assert judged.estimate.half_width == 0


def test_two_odd_trials_of_ten_stored_ones_are_not_outvoted_by_five_new_ones() -> None:
    """These leave out one at each end, so that the other is an end of the interval: from 1 to 1.3."""
    stored, new = agreed(*[1.0] * 8, 1.3, 1.3), agreed(*[1.0] * 5)
    blind = vote_against(stored, new, FLOORS)
    assert (blind.verdict, blind.visible) == (Verdict.INCONCLUSIVE, pytest.approx(math.sqrt(1.3) - 1))
    assert blind.reason == "the two show changes from 14.0 % on, and the threshold is 5.0 %"
    assert blind.visible is not None
    assert vote_against(stored, new, Floors(threshold=blind.visible)).verdict is Verdict.SAME
    assert vote_against(stored, new, Floors(threshold=0.999 * blind.visible)).verdict is Verdict.INCONCLUSIVE
    apart = vote_against(stored, agreed(1.04, 1.04, 1.04, 1.0, 1.0), FLOORS)
    assert apart.visible == pytest.approx(math.sqrt(1.3 * 1.04) - 1)
    assert apart.reason.startswith("the new trials differ so much")  # what the vote said first


@pytest.mark.parametrize(
    ("stored", "end", "confidence"),
    [
        ((1 / 1.03, 1.0, 1.0, 1.03), 1.0, 1 - 2 * (1 + 4) / 16),
        ((1 / 1.03, 1 / 1.03, 1.0, 1.03, 1.03), 1.03, 1 - 2 * (1 + 5) / 32),
    ],
)
def test_many_new_trials_against_few_stored_ones_leave_two_to_measure_a_spread_with(
    stored: tuple[float, ...], end: float, confidence: float
) -> None:
    """Ten new ones leave out two at each end, four or five stored ones one.

    Both sides reach 3 %, and the floor is 1 %: 4 % show, and less than the 6 % that all trials leave open.
    """
    new = agreed(*[1 / 1.03] * 2, *[1.0] * 6, *[1.03] * 2)
    judged = vote_against(agreed(*stored), new, FLOORS)
    assert (judged.verdict, judged.visible) == (Verdict.SAME, pytest.approx(1.01 * 1.03 - 1))
    assert judged.estimate is not None
    assert (judged.estimate.low, judged.estimate.high) == (pytest.approx(1 / end), pytest.approx(end))
    assert judged.estimate.confidence == pytest.approx(confidence - 2 * (1 + 10 + 45) / 1024)
    assert judged.estimate.rounds == 10


@pytest.mark.parametrize("ends", [0.03, 0.06, 0.08, 0.2])
def test_same_is_not_said_beyond_the_threshold_by_one_odd_trial_at_each_end(ends: float) -> None:
    judged = vote_against(trials(1 - ends, 0.999, 1.0, 1.001, 1 + ends), trials(0.97, 0.975, 1.0, 1.001, 1.002), FLOORS)
    assert judged.visible is not None
    assert (judged.verdict is Verdict.SAME) == (judged.visible <= FLOORS.threshold)


def test_nothing_on_one_side_is_missing() -> None:
    assert vote_against([], trials(1.0), FLOORS).verdict is Verdict.MISSING
    assert vote_against(trials(1.0), [], FLOORS).verdict is Verdict.MISSING


several = st.lists(st.floats(0.5, 2.0), min_size=4, max_size=7)


@given(several, several, st.integers(-5, 5))
def test_the_scale_of_the_ratios_does_not_matter(stored: list[float], new: list[float], power: int) -> None:
    def judge(scale: float) -> tuple[Verdict, int, int]:
        found = vote_against(trials(*(scale * r for r in stored)), trials(*(scale * r for r in new)), FLOORS)
        return found.verdict, found.slower, found.faster

    assume(not _on_the_edge(stored, new))
    assert judge(2.0**power) == judge(1.0)


@given(several, several)
def test_swapping_variant_and_reference_swaps_the_verdict(stored: list[float], new: list[float]) -> None:
    assume(not _on_the_edge(stored, new))
    there = vote_against(trials(*stored), trials(*new), FLOORS)
    back = vote_against(trials(*(1 / r for r in stored)), trials(*(1 / r for r in new)), FLOORS)
    assert back.verdict is OPPOSITE.get(there.verdict, there.verdict)
    assert (back.slower, back.faster) == (there.faster, there.slower)


@given(several)
def test_a_baseline_is_never_called_against_itself(ratios: list[float]) -> None:
    assert vote_against(trials(*ratios), trials(*ratios), FLOORS).verdict not in CALLED


@given(several, several)
def test_same_is_said_only_where_the_threshold_would_have_shown(stored: list[float], new: list[float]) -> None:
    judged = vote_against(trials(*stored), trials(*new), FLOORS)
    if judged.verdict is Verdict.SAME:
        assert judged.visible is not None
        assert judged.visible <= FLOORS.threshold


def _on_the_edge(stored: list[float], new: list[float]) -> bool:
    """Does a trial lie so close to a floor that rounding decides? Judge it under floors a hair apart."""
    sides = [trials(*stored), trials(*new)]
    found = [vote_against(*sides, Floors(relative=0.01 * (1 + hair))) for hair in (-1e-6, 0, 1e-6)]
    return len({(each.verdict, each.slower, each.faster) for each in found}) > 1
