from __future__ import annotations

import math
from dataclasses import replace
from itertools import permutations

import pytest

from tests.judging.looks import look, one_trial
from tests.judging.self_tests import self_test_group
from tests.record.records import CLOSE, KILLED, RIGHT, WRONG, died, failed, group, results, timed, trial
from vlbench.judging.quick import stands_out
from vlbench.judging.ratios import instance_ratios
from vlbench.judging.summary import (
    Summary,
    hold_together,
    is_quick_look,
    ranked,
    seconds_by_trial,
    summaries,
    suspects,
    why_inaccurate,
    why_incomplete,
    why_untimed,
    worst_accuracy,
)
from vlbench.judging.verdict import Floors, Judgement, Verdict, missing
from vlbench.record.exactness import Accuracy
from vlbench.record.schema import Counts, Row, Timing, VariantTrial
from vlbench.stats.paired import Estimate


@pytest.mark.parametrize("kept", range(11))
def test_suspects_are_the_same_however_many_of_the_confirming_trials_are_there(kept: int) -> None:
    rows = {"copy 1": (0.0, 1.0), "+3% 1": (0.03, 1.03), "-3%": (0.0, 0.97)}
    whole = self_test_group(rows, confirmed={"+3% 1": 1.0, "-3%": 0.97})
    assert [trial.confirms for trial in whole.trials] == [False] * 5 + [True] * 5
    cut = whole.model_copy(update={"trials": whole.trials[:kept]})
    assert suspects(cut, Floors()) == (["+3% 1", "-3%"] if kept == 1 or kept >= 4 else [])  # of one, by the quick look


def test_a_change_that_no_second_vote_confirms_does_not_stand() -> None:
    whole = self_test_group({"+3%": (0.03, 1.03)}, confirmed={"+3%": 1.03})
    alone = whole.model_copy(update={"trials": whole.trials[:5]})
    assert summaries(whole, Floors())[1].judgement.verdict is Verdict.REGRESSED
    judged = summaries(alone, Floors())[1].judgement
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.reason.endswith("not confirmed: there was no time left")
    assert summaries(alone, Floors(), first=True)[1].judgement.verdict is Verdict.REGRESSED


def called(name: str, seconds: float, first: float | None) -> VariantTrial:
    return timed(name, 1.0, timings={"warm": Timing(seconds=(seconds,) * 6)}, first_seconds=first)


@pytest.mark.parametrize(
    ("seconds", "first", "calls"),
    [
        (0.008, 0.089, 26),  # 51 ms more of a first call, which 25.5 gains of 2 ms each make up for
        (0.005, 0.089, 11),  # 54 ms, 10.8 gains of 5 ms
        (0.008, 0.030, None),  # the first call costs less than the reference tower's
        (0.0075, 0.0375, None),  # it costs as much more than the others as the reference tower's
        (0.010, 0.089, None),  # nothing is gained
        (0.012, 0.089, None),
        (0.008, None, None),
    ],
)
def test_a_slow_first_call_pays_back_after_so_many_others(
    seconds: float, first: float | None, calls: int | None
) -> None:
    """The reference tower takes 10 ms, and 40 ms in its own first call."""
    asked = group(trial(variants=(called("baseline", 0.010, 0.040), called("cached", seconds, first))))
    assert summaries(asked, Floors())[1].pays_back_after == calls


@pytest.mark.parametrize(
    ("seconds", "busy", "idle"),
    [(0.010, 0.0085, 0.15), (0.010, 0.010, 0.0), (0.010, 0.011, 0.0), (None, 0.01, None), (0.01, None, None)],
)
def test_the_idle_share_is_what_the_gpu_was_not_busy_of_the_span(
    seconds: float | None, busy: float | None, idle: float | None
) -> None:
    row = Row(name="a", flags=(), exactness="bit-exact")
    found = Summary(row, missing("not judged here"), seconds=seconds, busy_seconds=busy)
    assert found.idle_share == (None if idle is None else pytest.approx(idle))


def test_a_change_that_was_not_confirmed_says_how_the_trial_ended() -> None:
    whole = self_test_group({"+3%": (0.03, 1.03)}, confirmed={"+3%": 1.03})
    lost = whole.model_copy(update={"trials": whole.trials[:5], "lost": ("confirming trial 6: it crashed",)})
    assert summaries(lost, Floors())[1].judgement.reason.endswith("not confirmed: confirming trial 6: it crashed")


def test_rows_that_are_taken_to_another_reference_come_after_those_of_the_first_and_the_untimed_last() -> None:
    first, a, b, c, d = summaries(look({"a": 1.2, "b": 0.5, "c": 0.9, "d": 1.0}), Floors())
    other = replace(b, row=b.row.model_copy(update={"reference": "a"}))
    untimed = replace(d, judgement=missing("it crashed"))
    assert ranked([first, untimed, other, a, c]) == [first, c, a, other, untimed]


def test_intervals_of_a_vote_do_not_hold_together_however_sure_they_are() -> None:
    group = look({"a": 1.2, "b": 0.5})
    found = summaries(group, Floors())
    assert {each.estimate.confidence for each in found if each.estimate} == {1 - 0.05 / 2}
    assert hold_together(group, found)
    assert not hold_together(group, [replace(each, is_quick=False) for each in found])


@pytest.mark.parametrize(("confidence", "hold"), [(0.975, True), (0.974, False)])
def test_intervals_of_two_rows_hold_together_where_each_misses_in_two_and_a_half_per_cent(
    confidence: float, hold: bool
) -> None:
    group = look({"a": 1.2, "b": 0.5})
    first, a, b = summaries(group, Floors())
    less = replace(a, judgement=replace(a.judgement, estimate=Estimate(1.2, 1.1, 1.3, 30, confidence)))
    assert hold_together(group, [first, less, b]) is hold


@pytest.mark.parametrize(
    ("planned", "numbers", "is_quick"),
    [
        (1, (0, 2), True),  # one trial in two pieces, in which nothing stood out
        (2, (0, 2), True),  # what stood out is measured again
        (2, (0, 1), False),
        (3, (0, 2), False),  # one of three was lost
        (None, (0, 2), False),
        (5, (3,), True),
        (1, (), False),
    ],
)
def test_one_trial_is_a_quick_look_and_so_are_its_pieces(
    planned: int | None, numbers: tuple[int, ...], is_quick: bool
) -> None:
    made = group(*(trial(timed("a", 1.05), number=number) for number in numbers), planned=planned)
    assert is_quick_look(made) is is_quick


def test_a_row_of_the_second_piece_of_a_trial_is_told_of_as_those_of_the_first() -> None:
    whole = group(one_trial({"a": 1.3}), one_trial({"b": 1.3}, number=2), planned=2)
    assert [each.judgement.slower for each in summaries(whole, Floors())] == [0, 1, 1]


def test_an_instance_that_stands_out_in_opposite_ways_leaves_the_words() -> None:
    """It is the floor that rises."""
    first, again = one_trial({"a": 1.3}, 1.05), one_trial({"a": 1.3}, 0.95, number=1, confirms=True)
    assert summaries(group(first, again), Floors())[1].effect == "slower"
    first, again = one_trial({"a": 1.04}, 1.06), one_trial({"a": 1.04}, 0.94, number=1, confirms=True)
    assert summaries(group(first, again), Floors())[1].effect == "unclear"


@pytest.mark.parametrize(("floor", "effect"), [(0.01, "slower"), (0.003, "unclear")])
def test_an_instance_that_differs_by_less_than_the_floor_leaves_the_words(floor: float, effect: str) -> None:
    """By 0.6 %, in both processes."""
    first = one_trial({"a": 1.3}, 1.006, noise=0.0005)
    again = one_trial({"a": 1.3}, 1.006, noise=0.0005, number=1, confirms=True)
    assert summaries(group(first, again), Floors(relative=floor))[1].effect == effect


def test_an_instance_is_held_to_an_interval_as_sure_as_those_of_the_rows() -> None:
    """All of eight rows hold in 95 % of cases, so each misses in one of 160; at 95 % it would stand out in both."""
    rows = {"a": 1.3} | {f"row-{number}": 1.0 for number in range(7)}
    both = [one_trial(rows, 1.0175), one_trial({"a": 1.3}, 1.0175, number=1, confirms=True)]
    for sure, found in ((0.95, [1, 1]), (1 - 0.05 / 8, [1, 0])):
        odd = (instance_ratios(each, "warm", confidence=sure)[-1] for each in both)
        assert [stands_out(each, 0.01) for each in odd] == found
    assert summaries(group(*both), Floors())[1].effect == "slower"


def checked(*found: Accuracy) -> list[VariantTrial]:
    return [VariantTrial(name="a", accuracy=each, not_measured="it was not timed") for each in found]


def test_the_check_that_failed_is_the_worst_however_far_off_another_is() -> None:
    near = WRONG.model_copy(update={"fp32_error": 1e-9})
    assert worst_accuracy(checked(CLOSE, near, RIGHT)) == near


def test_of_checks_that_passed_or_failed_alike_the_worst_is_the_one_furthest_off() -> None:
    blind = WRONG.model_copy(update={"fp32_error": None, "reason": "it crashed"})
    known = {"timed_limit": 0.03, "own_error": 0.02}
    near, far = (CLOSE.model_copy(update=known | {"timed_error": error}) for error in (0.01, 0.02))
    for less, more in ((RIGHT, CLOSE), (blind, WRONG), (near, far)):
        assert worst_accuracy(checked(less, more)) == worst_accuracy(checked(more, less)) == more
    assert worst_accuracy([died("a")]) is None


def test_an_error_that_is_no_number_is_the_worst_in_whatever_order() -> None:
    known: dict[str, object] = {"timed_limit": 0.03, "own_error": 0.02}
    finite = [WRONG.model_copy(update={"fp32_error": error}) for error in (0.1, 9.0, math.inf)]
    late = WRONG.model_copy(update=known | {"timed_error": math.nan})
    nan = WRONG.model_copy(update=known | {"fp32_error": math.nan, "timed_error": 1e-9})
    other = nan.model_copy(update={"reason": "not ulp in fp32: error nan"})
    for order in permutations([*finite, late]):
        assert worst_accuracy(checked(*order)) is late
    for order in permutations([*finite, late, nan, other]):
        assert worst_accuracy(checked(*order)) is other


def test_why_a_row_has_no_times_is_told_by_the_trial_that_ended_for_good() -> None:
    left = failed("a").model_copy(update={"accuracy": None, "not_measured": "there was no time left", "left": True})
    crashed = left.model_copy(update={"not_measured": "it crashed", "left": False})
    both = group(trial(left), trial(crashed, number=1))
    assert why_untimed(both, "a", "otherwise") == "it crashed"


@pytest.mark.parametrize(
    ("is_quick", "slower", "faster", "effect"),
    [
        (False, 2, 0, "unclear"),
        (True, 0, 0, "unclear"),
        (True, 1, 0, "unclear"),
        (True, 0, 1, "unclear"),
        (True, 2, 0, "slower"),
        (True, 0, 2, "faster"),
    ],
)
def test_votes_that_decide_nothing_are_no_word_and_stand_out_in_a_quick_look_alone(
    is_quick: bool, slower: int, faster: int, effect: str
) -> None:
    row = Row(name="a", flags=(), exactness="bit-exact")
    judged = Judgement(Verdict.INCONCLUSIVE, "nobody knows", slower=slower, faster=faster)
    found = Summary(row, judged, is_quick)
    assert (found.effect, found.is_suspect) == (effect, is_quick and slower + faster > 0)


@pytest.mark.parametrize(("verdict", "effect"), [(Verdict.IMPROVED, "faster"), (Verdict.REGRESSED, "slower")])
def test_a_verdict_is_a_word_and_stands_out(verdict: Verdict, effect: str) -> None:
    found = Summary(Row(name="a", flags=(), exactness="bit-exact"), Judgement(verdict, "four of five say so"))
    assert (found.effect, found.is_suspect) == (effect, True)


def test_what_a_variant_ended_with_is_told_before_how_a_trial_was_lost() -> None:
    lost = group(trial(died("a")), lost=("trial 2: it crashed",))
    assert why_untimed(lost, "a", "otherwise") == KILLED
    assert why_untimed(group(lost=("trial 2: it crashed",)), "a", "otherwise") == "trial 2: it crashed"
    assert why_untimed(group(trial()), "b", "otherwise") == "otherwise"


def test_why_a_run_is_not_complete_names_what_was_left_alone() -> None:
    left = failed("a").model_copy(update={"accuracy": None, "not_measured": "there was no time left", "left": True})
    both = group(trial(left, timed("b", 1.0)), trial(left, timed("b", 1.0), number=1), lost=("trial 3: it crashed",))
    assert why_incomplete(results(both, complete=False)) == "no time was left for a (2 trials)"
    assert why_incomplete(results(group(trial(), lost=("trial 2: it crashed",)), complete=False)) == "trials were lost"
    assert why_incomplete(results(group(trial()), complete=False)) == "it was interrupted"
    assert why_incomplete(results(group(trial()))) == ""


def test_what_is_wrong_with_an_output_has_words_of_its_own_where_it_gives_none() -> None:
    assert why_inaccurate(WRONG) == "not bit-exact in fp32: error 0.31"
    assert why_inaccurate(WRONG.model_copy(update={"reason": None})) == "it failed its accuracy check"
    assert (why_inaccurate(RIGHT), why_inaccurate(None)) == ("", "")


def figures(times: float) -> VariantTrial:
    """A row of which each figure is `times` as large, in ms; the median of its rounds is two of them."""
    rounds = tuple(1e-3 * times * each for each in (1, 1, 2, 2, 9, 9))
    warm = Timing(
        seconds=rounds,
        host_seconds=tuple(each / 2 for each in rounds),
        plan_seconds=tuple(each / 4 for each in rounds),
        first_kernel_seconds=3e-3 * times,
        hit_rate=times / 10,
    )
    timings = {"warm": warm, "cold": Timing(seconds=(7e-3 * times,) * 6)}
    return timed("a", 1.0, timings=timings, first_seconds=4e-3 * times, busy_seconds=1e-3 * times, counts=None)


def test_each_figure_is_the_median_of_the_trials_that_timed_the_row() -> None:
    """Of 1, 2 and 6, and of rounds in which the median is twice that."""
    counts, stages = Counts(aten_operations=7, attention_calls=1), {"attention": (3e-3,), "mlp": (1e-3,)}
    untimed = VariantTrial(name="a", accuracy=RIGHT, not_measured="it was not timed", counts=counts, stages=stages)
    timed_ones = (trial(figures(times), number=number) for number, times in enumerate((1, 6, 2)))
    whole = group(*timed_ones, trial(untimed, number=3))
    found, cold = summaries(whole, Floors())[1], summaries(whole, Floors(), "cold")[1]
    assert (found.seconds, cold.seconds) == (pytest.approx(4e-3), pytest.approx(14e-3))
    assert (found.host_seconds, found.plan_seconds) == (pytest.approx(2e-3), pytest.approx(1e-3))
    assert (cold.host_seconds, cold.plan_seconds, cold.hit_rate) == (None, None, None)
    assert (found.first_kernel_seconds, found.hit_rate) == (pytest.approx(6e-3), pytest.approx(0.2))
    assert (found.first_seconds, found.busy_seconds) == (pytest.approx(8e-3), pytest.approx(2e-3))
    assert (found.counts, found.stages) == (counts, [{"attention": pytest.approx(0.75), "mlp": pytest.approx(0.25)}])
    assert seconds_by_trial(whole, "a") == pytest.approx((2e-3, 12e-3, 4e-3))
    assert seconds_by_trial(whole, "a", "cold") == pytest.approx((7e-3, 42e-3, 14e-3))


def test_a_row_that_is_wrong_or_was_not_timed_says_so() -> None:
    wrong = summaries(group(trial(failed("a"))), Floors())[1]
    assert (wrong.judgement.verdict, wrong.accuracy, wrong.seconds) == (Verdict.INACCURATE, WRONG, None)
    rows = group(trial(timed("a", 1.0))).rows
    bare = summaries(group(rows=rows), Floors())
    assert [each.judgement.reason for each in bare] == ["no trial was run"] * 2
    for trials in (1, 5):
        other = summaries(group(*(trial(timed("a", 1.0), number=number) for number in range(trials))), Floors(), "cold")
        assert [(each.judgement.verdict, each.judgement.reason) for each in other] == [
            (Verdict.SAME, "it is the reference tower"),
            (Verdict.MISSING, "no time was given to measure"),
        ]
