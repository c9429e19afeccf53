"""A run whose reference tower differs from itself proves nothing."""

from __future__ import annotations

import pytest

from tests.gating.timings import stored
from tests.judging.looks import one_trial
from tests.record.records import group
from vlbench.comparing.timed_rows import judgement_of
from vlbench.judging.instances import told_of, widest
from vlbench.judging.summary import summaries, suspects
from vlbench.judging.verdict import Floors, Verdict
from vlbench.record.schema import CellGroup

FLOORS = Floors()


def voted(odd: float, again: float) -> CellGroup:
    """`a` is 5 % slower."""
    first = (one_trial({"a": 1.05}, odd, number=number) for number in range(5))
    return group(*first, *(one_trial({"a": 1.05}, again, number=number, confirms=True) for number in range(5, 10)))


def test_a_run_in_which_an_instance_of_the_reference_stands_out_proves_nothing() -> None:
    judged = summaries(voted(1.03, 1.03), FLOORS)[1].judgement
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.reason.startswith("this run proves nothing: an instance of the reference tower differs")
    assert judged.estimate is not None


@pytest.mark.parametrize(("first", "again"), [(1.0, 1.0), (1.03, 1.0), (1.0, 1.03)])
def test_what_one_vote_alone_says_of_instances_lets_the_verdict_stand(first: float, again: float) -> None:
    """As it does with any other row: a call that is not confirmed is none."""
    assert summaries(voted(first, again), FLOORS)[1].judgement.verdict is Verdict.REGRESSED


def test_an_instance_that_stands_out_is_measured_again() -> None:
    first = [one_trial({"a": 1.01, "b": 1.01}, 1.03, number=number) for number in range(5)]
    assert suspects(group(*first), FLOORS) == ["a"]
    assert summaries(group(*first), FLOORS)[1].judgement.reason.startswith("this run proves nothing")
    again = [one_trial({"a": 1.0}, 1.0, number=number, confirms=True) for number in range(5, 10)]
    assert summaries(group(*first, *again), FLOORS)[1].judgement.verdict is Verdict.SAME
    slower = (one_trial({"a": 1.01, "b": 1.06}, 1.03, number=number) for number in range(5))
    assert suspects(group(*slower), FLOORS) == ["b"]


@pytest.mark.parametrize("ratio", [1.02, 0.97, 1.01])
def test_how_far_the_instances_are_apart(ratio: float) -> None:
    trials = [one_trial({"a": 1.05}, ratio, number=number) for number in range(3)]
    assert widest(trials, "warm") == pytest.approx(ratio, abs=0.004)
    assert widest(trials, "cold") is None
    bare = [each.model_copy(update={"order": {}}) for each in trials]
    assert widest(bare, "warm") is None


@pytest.mark.parametrize("odd", [1.03, 1.0])
def test_times_held_against_stored_ones_prove_nothing_either(odd: float) -> None:
    found = group(*(one_trial({"a": 0.8}, odd, number=number) for number in range(5)))
    judged = judgement_of(stored(*[0.8] * 5, variant="a"), found, FLOORS)
    assert (judged.verdict, judged.reason.startswith("this run proves nothing")) == (
        (Verdict.SAME, False) if odd == 1.0 else (Verdict.INCONCLUSIVE, True)
    )


def test_a_run_tells_of_its_own_instances() -> None:
    told, *_ = told_of(voted(1.03, 1.0))
    assert told == (
        "A/A of this run: 3 instances of baseline, the same program, differ by up to +2.7 % from each other."
    )
