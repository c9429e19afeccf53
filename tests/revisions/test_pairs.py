"""How long pairs go on, with pairs whose times are made up."""

from __future__ import annotations

import math
import random
from collections.abc import Container, Iterator
from dataclasses import replace

import pytest

from tests.record.records import RIGHT, results
from tests.trial.plans import plan
from vlbench.judging.judged import JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.process.child import ChildError
from vlbench.record.journal import Journal
from vlbench.record.schema import CellGroup
from vlbench.revisions.pairs import confirmed, go_on_in_sets, with_price
from vlbench.revisions.request import BASE, HEAD
from vlbench.towers.variants import Variant
from vlbench.trial.job import Checked, Event, Finished, Job, Prepared, Round
from vlbench.trial.limits import Limits
from vlbench.trial.session import Session


class Clock:
    """Time that passes by itself: each pair takes four seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)


def measured(
    monkeypatch: pytest.MonkeyPatch, change: float, spread: float, budget: float, loses: Container[int] = ()
) -> tuple[CellGroup, float]:
    """What pairs say whose ratios spread so much, and the seconds they took; `loses` are the pairs that crash."""
    clock, draw = Clock(monkeypatch), random.Random(0)

    def run(job: Job, timeout: float) -> Iterator[Event]:
        if job.trial in loses:
            raise ChildError(BASE, "it was ended by SIGSEGV")
        yield Prepared(batch="a batch", grids=((1, 4, 6),), fed_digest="fed", weights_digest="weights")
        for each in job.variants:
            yield Checked(variant=each.name, accuracy=RIGHT)
        ratio = (1 + change) * math.exp(draw.gauss(0, spread))
        for number in range(8):
            base = 0.01 + 1e-12 * job.trial  # no two pairs have the same times
            seconds = {BASE: base, HEAD: base * ratio}
            yield Round(number=number, state="warm", seconds=seconds, order=(HEAD, BASE))
        clock.now += 4.0
        yield Finished()

    base = plan()
    names = [Variant(BASE, None, tower="a:b", reference=BASE), Variant(HEAD, (), tower="a:b", reference=BASE)]
    session = Session(
        [replace(base, variants=names)], Journal(None, ""), limits=Limits(900, clock.now + budget), run=run
    )
    go_on_in_sets(session, 5)
    (group,) = session.groups()
    assert results(group, complete=session.is_complete).groups[0].planned == group.planned
    assert len({trial.number for trial in group.trials}) == len(group.trials)
    return group, clock.now - 1000.0


def test_quiet_pairs_stop_early(monkeypatch: pytest.MonkeyPatch) -> None:
    group, took = measured(monkeypatch, 0.0, 0.005, 240)
    assert confirmed(group).verdict is Verdict.SAME
    assert took == 40


def test_noisy_pairs_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    group, took = measured(monkeypatch, 0.0, 0.035, 240)
    assert confirmed(group).verdict is Verdict.SAME
    assert 60 <= took <= 240


def test_a_change_is_confirmed_by_as_many_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    group, took = measured(monkeypatch, 0.08, 0.01, 240)
    judged = confirmed(group)
    assert judged.verdict is Verdict.REGRESSED
    assert judged.reason.endswith("two votes agree")
    assert [trial.confirms for trial in group.trials] == [False] * 10 + [True] * 10
    assert took == 80


@pytest.mark.parametrize(("lost", "verdict"), [((4,), "same"), (range(9), "missing"), (range(99), "missing")])
def test_pairs_that_are_lost_are_told_and_no_others_take_their_numbers(
    monkeypatch: pytest.MonkeyPatch, lost: Container[int], verdict: str
) -> None:
    group, _ = measured(monkeypatch, 0.0, 0.005, 240, lost)
    assert confirmed(group).verdict == verdict
    assert group.lost[0] == f"trial {5 if verdict == 'same' else 1}: it was ended by SIGSEGV"
    assert group.planned == len(group.trials) + len(group.lost)


CRASHED = "confirming, trial 1 of 5: it was ended by SIGSEGV"


@pytest.mark.parametrize("pairs", [5, 10])
@pytest.mark.parametrize(("lost", "why"), [((), "there was no time left"), ((CRASHED,), CRASHED)])
def test_what_is_called_and_never_measured_again_does_not_stand(
    monkeypatch: pytest.MonkeyPatch, pairs: int, lost: tuple[str, ...], why: str
) -> None:
    group, _ = measured(monkeypatch, 0.08, 0.01, 240)
    judged = confirmed(group.model_copy(update={"trials": group.trials[:pairs], "lost": lost}))
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.slower == 5
    assert judged.reason.endswith(f"; not confirmed: {why}")


def test_the_time_is_used_up_and_not_more_and_its_price_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    group, took = measured(monkeypatch, 0.0, 0.2, 100)
    judged = confirmed(group)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert 80 <= took <= 100
    row = with_price(JudgedRow.of("a cell", judged), took)
    assert row.reason.startswith(
        f"undecided: changes below {100 * (judged.visible or 0):.1f} % cannot be seen in 100 s"
    )
    assert "would show 5.0 %; 25 trials in 5 sets say" in row.reason


@pytest.mark.parametrize(("visible", "told"), [(0.06, "about 93 s would show 5.0 %"), (0.05, "4 min would show 3.0 %")])
def test_the_price_of_the_next_change_that_people_ask_for(visible: float, told: str) -> None:
    row = JudgedRow(cell="a cell", measure="time", verdict=Verdict.INCONCLUSIVE, reason="why", visible=visible)
    assert told in with_price(row, 60).reason
    assert with_price(row.model_copy(update={"verdict": Verdict.SAME}), 60).reason == "why"
