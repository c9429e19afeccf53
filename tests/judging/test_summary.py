from __future__ import annotations

from dataclasses import replace

import pytest

from tests.judging.looks import look, one_trial
from tests.judging.self_tests import self_test_group
from tests.record.records import CLOSE, KILLED, RIGHT, WRONG, died, failed, group, results, timed, trial
from vlbench.judging.summary import (
    Summary,
    hold_together,
    ranked,
    summaries,
    suspects,
    why_inaccurate,
    why_incomplete,
    why_untimed,
    worst_accuracy,
)
from vlbench.judging.verdict import Floors, Judgement, Verdict, missing
from vlbench.record.exactness import Accuracy
from vlbench.record.schema import Row, Timing, VariantTrial


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
    found = summaries(look({"a": 1.2, "b": 0.5, "c": 0.9}), Floors())
    first, a, b, c = found
    other = replace(b, row=b.row.model_copy(update={"reference": "a"}))
    untimed = replace(c, judgement=missing("it crashed"))
    assert ranked([first, untimed, other, a]) == [first, a, other, untimed]


def test_intervals_of_a_vote_do_not_hold_together_however_sure_they_are() -> None:
    group = look({"a": 1.2, "b": 0.5})
    found = summaries(group, Floors())
    assert hold_together(group, found)
    assert not hold_together(group, [replace(each, is_quick=False) for each in found])


def test_an_instance_that_stands_out_in_opposite_ways_leaves_the_words() -> None:
    """It is the floor that rises."""
    first, again = one_trial({"a": 1.3}, 1.05), one_trial({"a": 1.3}, 0.95, number=1, confirms=True)
    assert summaries(group(first, again), Floors())[1].effect == "slower"


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


def test_why_a_row_has_no_times_is_told_by_the_trial_that_ended_for_good() -> None:
    left = failed("a").model_copy(update={"accuracy": None, "not_measured": "there was no time left", "left": True})
    crashed = left.model_copy(update={"not_measured": "it crashed", "left": False})
    both = group(trial(left), trial(crashed, number=1))
    assert why_untimed(both, "a", "otherwise") == "it crashed"


@pytest.mark.parametrize(
    ("is_quick", "votes", "effect"), [(False, 2, "unclear"), (True, 1, "unclear"), (True, 2, "slower")]
)
def test_votes_that_decide_nothing_are_no_word_and_stand_out_in_a_quick_look_alone(
    is_quick: bool, votes: int, effect: str
) -> None:
    row = Row(name="a", flags=(), exactness="bit-exact")
    found = Summary(row, Judgement(Verdict.INCONCLUSIVE, "nobody knows", slower=votes), is_quick)
    assert (found.effect, found.is_suspect) == (effect, is_quick)


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


@pytest.mark.parametrize("first", [True, False])
def test_the_absolute_floor_is_in_seconds_of_the_reference_tower(first: bool) -> None:
    """+5 % of its 10.5 ms are 0.525 ms, whatever the row itself takes; in both votes."""
    whole = group(*(trial(timed("a", 1.05), number=number, confirms=number > 4) for number in range(10)))
    for absolute, is_called in ((0.4e-3, True), (0.52e-3, True), (0.535e-3, False)):
        judged = summaries(whole, Floors(absolute=absolute), first=first)[1].judgement
        assert (judged.verdict is Verdict.REGRESSED) == is_called
