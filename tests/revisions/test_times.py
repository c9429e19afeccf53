from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import vlbench
from tests.record.records import CLOSE, KILLED, WRONG, died, group, reference_tower, timed, trial
from tests.revisions.test_counters import ASKED
from tests.trial.plans import SCENARIO_FILE
from vlbench.judging.judged import JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.record.schema import CellGroup, Row, Trial, VariantTrial
from vlbench.revisions.checkouts import Revision
from vlbench.revisions.request import BASE, HEAD, Pair
from vlbench.revisions.times import plans_of, rows_of
from vlbench.trial.job import Checked, Event, Round, Stages, job_of
from vlbench.trial.worker import run_job

CELL = "a tower on a scenario"
IN_ONE_PROCESS = (
    Row(name="baseline", flags=None, exactness="bit-exact"),
    Row(name="BASE", flags=(), exactness="reassociated", reference="baseline"),
    Row(name="HEAD", flags=(), exactness="reassociated", reference="BASE"),
)
IN_LOCK_STEP = (
    Row(name="BASE", flags=None, exactness="bit-exact", reference="BASE"),
    Row(name="HEAD", flags=(), exactness="reassociated", reference="BASE"),
)


def judged(*trials: Trial, rows: tuple[Row, ...] = IN_ONE_PROCESS, **fields: Any) -> dict[str, JudgedRow]:
    found: CellGroup = group(*trials, **{"rows": rows, **fields})
    return {row.measure: row for row in rows_of(found, CELL)}


def trials_of(base: VariantTrial, head: VariantTrial, count: int = 5, **fields: Any) -> list[Trial]:
    """The first vote, or a second one, whose trials have numbers and times of their own."""
    first = count if fields.get("confirms") else 0
    return [trial(number=first + number, variants=(reference_tower(), base, head), **fields) for number in range(count)]


def both(factor: float, count: int = 5, **fields: Any) -> list[Trial]:
    """BASE takes 0.8 of the reference tower's time, HEAD `factor` of BASE's."""
    stages = {"attention": 0.004, "mlp": 0.004}
    slower = {"attention": 0.004 + 0.008 * (factor - 1), "mlp": 0.004}
    return trials_of(timed("BASE", 0.8, stages=stages), timed("HEAD", 0.8 * factor, stages=slower), count, **fields)


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, Verdict.SAME), (1.1, Verdict.REGRESSED), (0.9, Verdict.IMPROVED)]
)
def test_head_is_held_against_base_and_not_against_the_reference_tower(factor: float, verdict: Verdict) -> None:
    rows = judged(*both(factor), *both(factor, confirms=True))
    assert rows["accuracy"].verdict is Verdict.SAME
    time = rows["time"]
    assert time.verdict is verdict
    assert time.ratio == pytest.approx(factor)
    assert (time.before, time.after, time.unit) == (pytest.approx(0.0084), pytest.approx(0.0084 * factor), "s")
    assert time.paired, "its ratio is that of neighbouring calls"
    assert [move.name for move in time.moves] == ([] if factor == 1 else ["attention"])


def test_a_change_stands_only_if_the_second_vote_confirms_it() -> None:
    assert judged(*both(1.1), *both(1.0, confirms=True))["time"].verdict is Verdict.SAME
    assert judged(*both(1.1), *both(1.1, confirms=True))["time"].verdict is Verdict.REGRESSED


def test_a_wrong_head_has_no_time() -> None:
    head = VariantTrial(name="HEAD", accuracy=WRONG, not_measured=WRONG.reason)
    rows = judged(*trials_of(timed("BASE", 1.0), head))
    assert set(rows) == {"accuracy"}
    assert rows["accuracy"].verdict is Verdict.INACCURATE
    assert rows["accuracy"].reason == "held against the reference tower: not bit-exact in fp32: error 0.31"


def test_a_head_that_is_right_where_base_was_wrong_is_better_and_has_no_ratio() -> None:
    base = VariantTrial(name="BASE", accuracy=WRONG, not_measured=WRONG.reason)
    rows = judged(*trials_of(base, timed("HEAD", 1.0)))
    assert rows["accuracy"].verdict is Verdict.IMPROVED
    assert rows["time"].verdict is Verdict.MISSING
    assert rows["time"].reason == "BASE is wrong, so its time means nothing to compare with"
    assert rows["time"].ratio is None


def test_a_head_that_ended_its_process_is_missing() -> None:
    rows = judged(*trials_of(timed("BASE", 1.0), died("HEAD")))
    assert {name: (row.verdict, row.reason) for name, row in rows.items()} == {"accuracy": (Verdict.MISSING, KILLED)}


def test_trials_that_were_all_lost_are_missing_with_their_reason() -> None:
    rows = judged(lost=("trial 1: no end after 900 s",))
    assert {row.verdict for row in rows.values()} == {Verdict.MISSING}
    assert {row.reason for row in rows.values()} == {"trial 1: no end after 900 s"}


def test_one_trial_is_a_quick_look() -> None:
    assert judged(*both(1.1, count=1))["time"].verdict is Verdict.INCONCLUSIVE


def test_in_lock_step_head_is_held_against_base() -> None:
    pairs = [
        trial(number=at, confirms=at > 4, variants=(timed("BASE", 1.0), timed("HEAD", 1.1, accuracy=CLOSE)))
        for at in range(10)
    ]
    rows = judged(*pairs, rows=IN_LOCK_STEP)
    assert rows["accuracy"].reason == "held against BASE: right, by what reassociated asks for"
    assert rows["time"].verdict is Verdict.REGRESSED


def test_another_claim_than_that_of_base_is_said() -> None:
    looser = (*IN_ONE_PROCESS[:1], IN_ONE_PROCESS[1].model_copy(update={"exactness": "bit-exact"}), IN_ONE_PROCESS[2])
    reason = judged(*both(1.0), rows=looser)["accuracy"].reason
    assert reason.endswith("by what reassociated asks for, where BASE claims to be bit-exact")


def test_both_revisions_of_ours_are_in_the_rounds_of_one_process(tmp_path: Path) -> None:
    """With their own code, checked against one reference tower, and heard as they mark their stages."""
    (tmp_path / "small.toml").write_text(SCENARIO_FILE)
    top = Path(vlbench.__file__).parents[1]
    revisions = [Revision(name, "0" * 40, "tree", top, "") for name in ("main", "HEAD")]
    request = replace(ASKED, scenarios=(str(tmp_path / "small.toml"),))
    (plan,) = plans_of(Pair(*revisions), request, request.towers[0])
    names = ["baseline", BASE, HEAD]
    assert [variant.name for variant in plan.variants] == names
    emitted: list[Event] = []
    run_job(job_of(plan, 0, 0.05, names), emitted.append)
    checks = [each for each in emitted if isinstance(each, Checked)]
    assert [(each.variant, each.accuracy.passed) for each in checks] == [(name, True) for name in names]
    assert all(list(each.seconds) == names for each in emitted if isinstance(each, Round))
    stages = {each.variant: set(each.seconds) for each in emitted if isinstance(each, Stages)}
    assert "attention" in stages[BASE]
    assert stages[BASE] == stages[HEAD]
