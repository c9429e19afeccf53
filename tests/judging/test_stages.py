"""Which stage is why: shares that survive a machine's moods, and moves in the direction of the verdict."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from tests.record.records import reference_tower, timed, trial
from vlbench.judging.stages import named, stage_moves, stage_shares
from vlbench.judging.verdict import Verdict
from vlbench.record.schema import Trial


def measured(attention: float, mlp: float, *, ratio: float = 1.0, mood: float = 1.0) -> Trial:
    """A trial in which the machine was `mood` times slower while the stages of `fast` were timed."""
    stages = {"attention": mood * attention, "mlp": mood * mlp}
    return trial(timed("fast", ratio, stages=stages))


def test_shares_divide_the_ratio_of_the_paired_rounds() -> None:
    shares = stage_shares(
        [measured(0.003, 0.001, ratio=0.8, mood=mood) for mood in (1.0, 1.7, 0.9)], "fast", "baseline"
    )
    assert shares == {"attention": pytest.approx(0.6), "mlp": pytest.approx(0.2)}


def test_a_stage_counts_by_its_median_and_as_nothing_where_it_did_not_run() -> None:
    trials = [measured(0.003, 0.001), measured(0.003, 0.001), measured(0.001, 0.003)]
    assert stage_shares(trials, "fast", "baseline")["attention"] == pytest.approx(0.75)
    odd = trial(timed("fast", 1.0, stages={"attention": 0.1, "rare": 0.1}))
    assert stage_shares([*trials[:2], odd], "fast", "baseline")["rare"] == 0


def test_without_stages_or_times_there_are_no_shares() -> None:
    assert stage_shares([trial(timed("fast", 1.0))], "fast", "baseline") == {}
    fast = timed("fast", 1.0, states=("cold",), stages={"attention": 1.0})
    cold = trial(variants=(reference_tower(states=("cold",)), fast))
    assert stage_shares([cold], "fast", "baseline") == {}
    assert stage_shares([measured(0.1, 0.1)], "slow", "baseline") == {}


BEFORE = {"attention": 0.6, "mlp": 0.3, "merger": 0.1}
AFTER = {"attention": 0.55, "mlp": 0.5, "plan": 0.02, "merger": 0.105}


def test_what_moved_as_the_verdict_says_comes_first() -> None:
    worse = stage_moves(BEFORE, AFTER, 0.010, 0.01, Verdict.REGRESSED)
    assert [move.name for move in worse] == ["mlp", "plan", "attention"]  # merger moved by less than 1 %
    assert (worse[0].before, worse[0].after, worse[0].unit) == (pytest.approx(0.003), pytest.approx(0.005), "s")
    assert named(worse, Verdict.REGRESSED) == "most of it in the stage mlp, +2 ms"
    better = stage_moves(BEFORE, AFTER, 0.010, 0.01, Verdict.IMPROVED)
    assert [move.name for move in better] == ["attention", "plan", "mlp"]
    assert named(better, Verdict.IMPROVED) == "most of it in the stage attention, -0.5 ms"


def test_no_stage_is_named_that_moved_the_other_way() -> None:
    fell = stage_moves({"mlp": 0.5}, {"mlp": 0.4}, 0.010, 0.01, Verdict.REGRESSED)
    assert len(fell) == 1
    assert named(fell, Verdict.REGRESSED) == ""


@pytest.mark.parametrize("verdict", [Verdict.SAME, Verdict.INCONCLUSIVE, Verdict.MISSING])
def test_stages_explain_only_a_change_that_was_called(verdict: Verdict) -> None:
    assert stage_moves(BEFORE, AFTER, 0.010, 0.01, verdict) == ()
    assert named(stage_moves(BEFORE, AFTER, 0.010, 0.01, Verdict.REGRESSED), verdict) == ""


def test_one_side_without_stages_explains_nothing() -> None:
    assert stage_moves({}, AFTER, 0.010, 0.01, Verdict.REGRESSED) == ()
    assert stage_moves(BEFORE, {}, 0.010, 0.01, Verdict.IMPROVED) == ()


shares = st.dictionaries(st.sampled_from("abcd"), st.floats(0, 2), min_size=1)


@given(shares, shares)
def test_there_and_back_are_the_same_moves_turned_round(before: dict[str, float], after: dict[str, float]) -> None:
    there = stage_moves(before, after, 1.0, 0.01, Verdict.REGRESSED)
    back = stage_moves(after, before, 1.0, 0.01, Verdict.IMPROVED)
    assert {(move.name, move.before, move.after) for move in there} == {
        (move.name, move.after, move.before) for move in back
    }
    assert [move.after - move.before for move in there] == sorted((m.after - m.before for m in there), reverse=True)
