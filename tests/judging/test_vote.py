"""The vote across trials: false alarms and power on synthetic machines, and what must hold of any input."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st

from vlbench.errors import UsageError
from vlbench.judging.verdict import Floors, Judgement, Verdict, inaccurate, missing
from vlbench.judging.vote import confirm, expected_false_rows, visible_effect, vote
from vlbench.stats.paired import Estimate, paired_ratio

FLOORS = Floors()
OPPOSITE = {Verdict.REGRESSED: Verdict.IMPROVED, Verdict.IMPROVED: Verdict.REGRESSED}


def trial(ratio: float, error: float = 0.001) -> Estimate:
    """A trial of 30 rounds whose interval is worth `error` in standard errors of the logarithm."""
    half = math.exp(1.96 * error)
    return Estimate(ratio, ratio / half, ratio * half, 30, 0.95)


def trials(*ratios: float) -> list[Estimate]:
    return [trial(ratio) for ratio in ratios]


def machine(rng: np.random.Generator, effect: float, between: float, votes: int) -> list[list[Estimate]]:
    """Votes of five trials on a machine like a shared virtual one.

    Rounds drift by 5 % together and differ by 2 %; processes differ by `between`, and one in fifty is 20-31 % off.
    """
    groups = []
    for _ in range(votes):
        group = []
        for _ in range(5):
            luck = rng.normal(0, between)
            if rng.random() < 0.02:
                luck += rng.choice([-1, 1]) * rng.uniform(0.20, 0.31)
            reference_tower = 0.0024 * np.exp(rng.normal(0, 0.05, 15))
            variant = reference_tower * (1 + effect) * np.exp(luck + rng.normal(0, 0.02, 15))
            group.append(paired_ratio(variant.tolist(), reference_tower.tolist()))
        groups.append(group)
    return groups


def test_identical_programs_are_not_called_different() -> None:
    quiet = [vote(group, FLOORS) for group in machine(np.random.default_rng(1), 0.0, 0.003, 300)]
    called = Counter(each.verdict for each in quiet)
    assert called[Verdict.REGRESSED] + called[Verdict.IMPROVED] <= 1
    assert called[Verdict.SAME] >= 285


@pytest.mark.parametrize("effect", [0.05, -0.05])
def test_a_change_of_five_per_cent_is_caught(effect: float) -> None:
    judged = [vote(group, FLOORS) for group in machine(np.random.default_rng(2), effect, 0.005, 200)]
    wanted = Verdict.REGRESSED if effect > 0 else Verdict.IMPROVED
    assert sum(each.verdict is wanted for each in judged) >= 198


def test_a_change_of_the_visible_size_is_called_and_confirmed_four_times_in_five() -> None:
    votes = machine(np.random.default_rng(3), 0.0, 0.01, 900)
    caught = 0
    for named, *others in zip(votes[:300], votes[300:600], votes[600:], strict=True):
        caught += called_and_confirmed(seen_by(named, FLOORS), others, FLOORS)
    assert 0.77 <= caught / 300 <= 0.95


def seen_by(group: list[Estimate], floors: Floors) -> float:
    seen = vote(group, floors).visible
    assert seen is not None
    return seen


def called_and_confirmed(effect: float, votes: list[list[Estimate]], floors: Floors) -> bool:
    """Do a vote and the one that confirms it call a change of that size?"""
    more = 1 + effect
    moved = (
        [replace(one, ratio=one.ratio * more, low=one.low * more, high=one.high * more) for one in group]
        for group in votes
    )
    return confirm(*(vote(group, floors) for group in moved)).verdict is Verdict.REGRESSED


def test_the_visible_effect_follows_from_the_trials_that_decide() -> None:
    group = trials(0.70, 0.99, 1.0, 1.01, 1.02)  # the vote can outvote 0.70 and 1.02
    distance = math.log1p(visible_effect(group, FLOORS)) - math.log1p(FLOORS.relative)
    spread = math.log(1.01 / 0.99) / (2 * 0.497)  # of five normal values, the second lies 0.497 deviations below
    assert distance == pytest.approx(1.27 * spread, rel=0.01)  # see how often that is called, below


def test_a_noisy_machine_is_blind_and_says_so_instead_of_same() -> None:
    judged = vote(trials(0.80, 0.93, 1.00, 1.08, 1.20), FLOORS)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.visible is not None
    assert judged.visible > FLOORS.threshold
    assert "the threshold is 5.0 %" in judged.reason


def test_rounds_that_disagree_blind_a_vote_even_if_the_trials_agree() -> None:
    agreeing = [trial(1.0, error=0.10) for _ in range(5)]
    assert vote(agreeing, FLOORS).verdict is Verdict.INCONCLUSIVE
    assert vote(trials(*[1.0] * 5), FLOORS).verdict is Verdict.SAME


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [
        ((1.05, 1.05, 1.04, 1.06, 0.75), Verdict.REGRESSED),  # one wild process is outvoted
        ((0.95, 0.95, 0.96, 0.94, 1.30), Verdict.IMPROVED),
        ((1.02, 1.02, 1.015, 1.00, 1.00), Verdict.INCONCLUSIVE),  # a majority, but no vote; 5 % would have shown
        ((1.00, 1.001, 0.999, 1.002, 0.70), Verdict.SAME),
        ((1.009, 1.008, 1.009, 1.007, 1.009), Verdict.SAME),  # all slower, none by the floor
    ],
)
def test_four_of_five_decide(ratios: tuple[float, ...], verdict: Verdict) -> None:
    assert vote(trials(*ratios), FLOORS).verdict is verdict


def test_one_trial_is_a_quick_look() -> None:
    judged = vote(trials(1.5), FLOORS)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.reason == "1 trial is a quick look; a verdict needs 5"
    assert judged.estimate == trial(1.5)
    assert judged.visible is None


def test_trials_that_crashed_do_not_vote() -> None:
    assert vote([], FLOORS).verdict is Verdict.MISSING
    three = vote(trials(1.5, 1.5, 1.5), FLOORS)
    assert (three.verdict, three.reason) == (Verdict.INCONCLUSIVE, "only 3 of 5 trials finished and the vote needs 4")
    assert vote(trials(1.5, 1.5, 1.5, 1.5), FLOORS).verdict is Verdict.REGRESSED


def test_more_trials_need_the_same_share_of_votes() -> None:
    assert [FLOORS.votes_needed(count) for count in (4, 5, 6, 10)] == [4, 4, 5, 8]


def test_every_verdict_has_a_sentence_and_shows_what_it_could_see() -> None:
    for ratios in ((1.05,) * 5, (0.95,) * 5, (1.0,) * 5, (0.8, 0.9, 1.0, 1.1, 1.2)):
        judged = vote(trials(*ratios), FLOORS)
        assert judged.reason
        assert judged.visible is not None
        assert judged.estimate is not None
    assert vote(trials(*[1.05] * 5), FLOORS).reason == "5 of 5 trials are slower by more than 1.0 %, median +5.0 %"


@pytest.mark.parametrize("count", [4, 5, 7, 10])
def test_the_change_that_a_vote_prints_is_called_and_confirmed_four_times_in_five(count: int) -> None:
    """The size that one vote prints, made real in two others."""
    draw, floors = np.random.default_rng(count), Floors(threshold=0.9)
    caught = 0
    for votes in draw.normal(0, 0.02, (1000, 3, count)):
        named, *others = ([trial(math.exp(each), 1e-6) for each in logs] for logs in votes)
        caught += called_and_confirmed(seen_by(named, floors), others, floors)
    assert 0.77 <= caught / 1000 <= 0.86


@pytest.mark.parametrize("ratios", [(0.886, 1.0, 1.01, 1.02, 1.038), (0.7, 0.8, 1.0, 1.2, 1.3), (0.8, 1.0, 1.0, 1.2)])
def test_an_interval_never_contradicts_what_is_detectable(ratios: tuple[float, ...]) -> None:
    judged = vote(trials(*ratios), FLOORS)
    assert judged.estimate is not None
    assert judged.visible is not None
    assert judged.estimate.half_width <= judged.visible + 1e-12


def test_a_trial_that_is_outvoted_has_no_say_in_the_interval_either() -> None:
    judged = vote(trials(0.886, 0.995, 1.0, 1.005, 1.038), FLOORS)
    assert judged.verdict is Verdict.SAME
    assert judged.estimate is not None
    assert (judged.estimate.low, judged.estimate.high) == (pytest.approx(0.995), pytest.approx(1.005))
    assert judged.estimate.confidence == pytest.approx(0.625)


@pytest.mark.parametrize(("slower", "verdict"), [(2, Verdict.SAME), (3, Verdict.INCONCLUSIVE)])
@pytest.mark.parametrize("ratio", [1.02, 1 / 1.02])
def test_two_trials_of_four_are_no_leaning_and_three_are(slower: int, verdict: Verdict, ratio: float) -> None:
    judged = vote(trials(*[ratio] * slower, *[1.0] * (4 - slower)), FLOORS)
    assert judged.verdict is verdict
    assert ("a verdict needs 4" in judged.reason) is (slower == 3)


several = st.lists(st.floats(0.5, 2.0), min_size=2, max_size=9)


@given(several)
def test_swapping_the_sides_swaps_the_verdict(ratios: list[float]) -> None:
    assume(all(abs(abs(math.log(each)) - math.log(1.01)) > 1e-9 for each in ratios))
    there, back = vote(trials(*ratios), FLOORS), vote([trial(1 / each) for each in ratios], FLOORS)
    assert back.verdict is OPPOSITE.get(there.verdict, there.verdict)
    assert (back.slower, back.faster) == (there.faster, there.slower)


@given(st.lists(st.lists(st.floats(1e-4, 1e-1), min_size=3, max_size=8), min_size=4, max_size=6), st.integers(-9, 9))
def test_scaling_all_times_changes_nothing(times: list[list[float]], power: int) -> None:
    def judge(scale: float) -> Judgement:
        reference_towers = [[scale * (0.02 + time / 10) for time in reversed(rounds)] for rounds in times]
        variants = [[scale * (0.02 + time / 10) for time in rounds] for rounds in times]
        return vote([paired_ratio(*pair) for pair in zip(variants, reference_towers, strict=True)], FLOORS)

    assert judge(2.0**power) == judge(1.0)


@given(several, st.floats(1.0, 1.5))
def test_a_larger_effect_never_makes_a_regression_go_away(ratios: list[float], more: float) -> None:
    if vote(trials(*ratios), FLOORS).verdict is Verdict.REGRESSED:
        assert vote(trials(*[more * each for each in ratios]), FLOORS).verdict is Verdict.REGRESSED


@given(several)
def test_same_is_said_only_where_the_threshold_would_have_shown(ratios: list[float]) -> None:
    judged = vote(trials(*ratios), FLOORS)
    if judged.verdict is Verdict.SAME:
        assert judged.visible is not None
        assert judged.visible <= FLOORS.threshold


def test_a_second_vote_may_only_confirm() -> None:
    slow, fast, same, blind = (
        vote(trials(*each), FLOORS) for each in ((1.05,) * 5, (0.95,) * 5, (1.0,) * 5, (0.8, 0.9, 1.0, 1.1, 1.2))
    )
    assert confirm(slow, slow).verdict is Verdict.REGRESSED
    assert confirm(slow, slow).reason.endswith("two votes agree")
    assert confirm(slow, same).verdict is Verdict.SAME
    assert confirm(slow, fast).verdict is Verdict.INCONCLUSIVE
    assert confirm(slow, blind).verdict is Verdict.INCONCLUSIVE
    assert confirm(slow, missing("it crashed")).verdict is Verdict.INCONCLUSIVE
    assert confirm(slow, inaccurate("another output")).verdict is Verdict.INACCURATE
    assert confirm(same, slow) == same
    assert confirm(blind, slow) == blind


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"k": 2, "n": 5}, "2 of 5 trials is not a majority"),
        ({"k": 6, "n": 5}, "6 of 5 trials is not a majority"),
        ({"relative": 0.05, "threshold": 0.05}, "must lie above the floor"),
        ({"relative": math.nan}, "must lie above the floor"),
    ],
)
def test_floors_that_make_no_sense_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(FLOORS, **wrong)


def test_a_big_matrix_expects_false_rows() -> None:
    assert expected_false_rows(1000) == pytest.approx(0.3)
    assert expected_false_rows(20, 0.05) == pytest.approx(1.0)
