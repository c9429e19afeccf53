"""A stored cell beside what was measured again, made by hand: its rows and their sentences."""

from __future__ import annotations

import pytest

from tests.gating.timings import NAME, measured, stored, trials
from tests.record.records import died, failed, trial
from vlbench.comparing.timed_rows import accuracy_row, floors_of, judgement_of, time_row
from vlbench.judging.judged import JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.record.baseline import TimedCell
from vlbench.record.schema import CellGroup, Counts

STORED = stored(*[0.8] * 5, stages={"attention": 0.6, "mlp": 0.2})
SLOW = {"attention": 0.0068, "mlp": 0.002}


def row(cell: TimedCell, group: CellGroup, planned: int = 5) -> JudgedRow:
    return time_row(cell, group, floors_of(cell, planned))


def test_a_regression_names_its_stage_and_shows_what_moved() -> None:
    seen = {"stages": SLOW, "counts": Counts(aten_operations=311, attention_calls=16)}
    group = measured(*[0.88] * 5, more=trials(*[0.88] * 5, confirms=True), seen=seen)
    found = row(STORED, group)
    assert found.verdict is Verdict.REGRESSED
    assert found.reason == (
        "5 of 5 trials are slower by more than 1.0 %, median +10.0 %; two votes agree; "
        "most of it in the stage attention, +0.84 ms"
    )
    assert (found.before, found.after, found.ratio, found.unit) == (
        *(pytest.approx(0.8), pytest.approx(0.88), pytest.approx(1.1)),
        "x the reference",
    )
    assert [(move.kind, move.name) for move in found.moves] == [("stage", "attention"), ("counter", "aten_operations")]
    assert found.gates


def test_an_improvement_names_the_stage_that_became_faster() -> None:
    group = measured(
        *[0.7] * 5, more=trials(*[0.7] * 5, confirms=True), seen={"stages": {"attention": 0.005, "mlp": 0.002}}
    )
    found = row(STORED, group)
    assert found.verdict is Verdict.IMPROVED
    assert "most of it in the stage attention, -" in found.reason


def test_the_same_shows_counts_that_moved_and_no_stage() -> None:
    seen = {"stages": SLOW, "counts": Counts(aten_operations=300, attention_calls=17)}
    found = row(STORED, measured(*[0.8] * 5, seen=seen))
    assert found.verdict is Verdict.SAME
    assert [move.name for move in found.moves] == ["attention_calls"]


def test_a_suspect_that_is_not_confirmed_is_the_same() -> None:
    group = measured(*[0.88] * 5, more=trials(*[0.8] * 5, confirms=True))
    alone, floors = measured(*[0.88] * 5), floors_of(STORED, 5)
    assert judgement_of(STORED, alone, floors, first=True).verdict is Verdict.REGRESSED
    assert judgement_of(STORED, alone, floors).verdict is Verdict.INCONCLUSIVE
    found = row(STORED, group)
    assert found.verdict is Verdict.SAME
    assert "not confirmed by the second" in found.reason


def test_the_thresholds_are_those_of_the_cell() -> None:
    patient = stored(*[0.8] * 5, floor=0.2, threshold=0.3)
    assert row(patient, measured(*[0.88] * 5)).verdict is Verdict.SAME


@pytest.mark.parametrize(("planned", "needed"), [(4, 4), (5, 4), (6, 5), (10, 8)])
def test_the_usual_share_of_the_trials_decides(planned: int, needed: int) -> None:
    floors = floors_of(STORED, planned)
    assert (floors.n, floors.k, floors.votes_needed(planned)) == (planned, needed, needed)


def test_too_few_trials_are_missing_with_what_was_lost() -> None:
    lost = ("trial 2: no end after 900 s", "trial 4: no end after 900 s")
    found = row(STORED, measured(*[0.8] * 3, lost=lost))
    assert (found.verdict, found.reason) == (
        Verdict.MISSING,
        "3 of 5 trials finished, and the vote needs 4; trial 2: no end after 900 s",
    )
    assert found.ratio is None
    assert row(STORED, measured(*[0.8] * 4, lost=lost[:1])).verdict is Verdict.SAME


def test_a_variant_that_ends_its_process_is_missing_however_often_it_had_finished() -> None:
    group = measured(*[0.8] * 4, more=[trial(died(NAME), number=4)])
    for found in (row(STORED, group), accuracy_row(STORED, group)):
        assert (found.verdict, found.reason) == (Verdict.MISSING, "its process was ended by SIGKILL (out of memory?)")


def test_without_any_trial_the_reason_is_that_of_the_first_lost() -> None:
    nothing = measured(*[0.8] * 5).model_copy(update={"trials": (), "lost": ("tower 'a:b': a cannot be imported",)})
    for found in (row(STORED, nothing), accuracy_row(STORED, nothing)):
        assert (found.verdict, found.reason) == (Verdict.MISSING, "tower 'a:b': a cannot be imported")


def test_one_wrong_output_in_any_trial_is_inaccurate() -> None:
    assert accuracy_row(STORED, measured(*[0.8] * 5)).verdict is Verdict.SAME
    for confirms in (False, True):
        wrong = accuracy_row(STORED, measured(*[0.8] * 5, more=[trial(failed(NAME), number=9, confirms=confirms)]))
        assert (wrong.measure, wrong.verdict) == ("accuracy", Verdict.INACCURATE)
        assert wrong.reason == "not bit-exact in fp32: error 0.31"


def test_a_reference_with_a_wrong_output_is_inaccurate_too() -> None:
    group = measured(*[0.8] * 5)
    bad = failed("baseline")
    broken = group.trials[0].model_copy(update={"variants": (bad, *group.trials[0].variants[1:])})
    found = accuracy_row(STORED, group.model_copy(update={"trials": (broken, *group.trials[1:])}))
    assert found.verdict is Verdict.INACCURATE
    assert found.reason.startswith("its reference baseline: ")
