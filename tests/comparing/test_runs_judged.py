from __future__ import annotations

from vlbench.comparing.runs import Row, compare
from vlbench.comparing.runs_judged import as_judged
from vlbench.judging.judged import JudgedRow
from vlbench.judging.unpaired import RunFloors
from vlbench.judging.verdict import Verdict, missing
from vlbench.record.runs import Better, Metric, Run, collect

FLOORS = RunFloors(confidence=0.99)


def runs(*rates: float) -> list[Run]:
    return [collect(str(rate), [Metric("rate", rate, "req/s", Better.HIGHER)]) for rate in rates]


def judged_row(row: Row) -> JudgedRow:
    (only,) = as_judged("judge", ("a", "b"), [row], FLOORS).rows
    return only


def test_a_row_keeps_its_verdict_and_its_figures() -> None:
    (row,) = compare(runs(100, 100.1, 99.9), runs(80, 80.1, 79.9), FLOORS)
    found, estimate = judged_row(row), row.judgement.estimate
    assert estimate is not None
    assert (found.verdict, found.reason, found.better) == (Verdict.REGRESSED, row.judgement.reason, "more")
    assert (found.before, found.after, found.unit) == (row.before, row.after, "req/s")
    assert (found.ratio, found.low, found.high) == (estimate.ratio, estimate.low, estimate.high)
    assert found.ratio is not None
    assert found.ratio > 1


def test_a_row_without_figures_has_none() -> None:
    found = judged_row(Row("gone", missing("it was renamed")))
    assert (found.cell, found.verdict, found.reason) == ("gone", Verdict.MISSING, "it was renamed")
    assert (found.before, found.ratio, found.visible) == (None, None, None)


def test_chance_is_that_of_the_interval_and_what_is_allowed_is_passed_on() -> None:
    rows = compare(runs(100, 130, 80), runs(99, 128, 81), FLOORS)
    assert as_judged("judge", ("a", "b"), rows, FLOORS).exit_code == 4
    allowed = as_judged("judge", ("a", "b"), rows, FLOORS, allow_inconclusive=True)
    assert (allowed.exit_code, round(allowed.false_alarms, 6)) == (0, 0.01)
