"""Two sets of runs become rows; what cannot be compared says why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vlbench.comparing.runs import run_rows
from vlbench.errors import UsageError
from vlbench.judging.judged import JudgedRow
from vlbench.judging.unpaired import RunFloors, compare_runs
from vlbench.judging.verdict import Verdict
from vlbench.record.directions import Better
from vlbench.record.runs import Metric, Run, collect

FLOORS = RunFloors()


def run(source: str, conditions: dict[str, str] | None = None, fault: str = "", **figures: float) -> Run:
    metrics = [Metric(name, value, "s", Better.LOWER) for name, value in figures.items()]
    return collect(source, metrics, conditions, fault)


def three(name: str, scale: float = 1.0, **conditions: str) -> list[Run]:
    return [run(f"{name}{i}", conditions, t=scale * (1 + i / 1000)) for i in range(3)]


def only(rows: list[JudgedRow]) -> JudgedRow:
    assert len(rows) == 1
    return rows[0]


def test_a_row_shows_both_sides_and_its_verdict() -> None:
    row = only(run_rows(three("a"), three("b", 1.1), FLOORS))
    assert (row.cell, row.verdict) == ("t", Verdict.REGRESSED)
    assert (row.before, row.after) == (pytest.approx(1.001), pytest.approx(1.1011))


def test_a_renamed_metric_is_missing_under_both_names() -> None:
    before = [run(f"a{i}", old=1.0, t=1 + i / 1000) for i in range(3)]
    after = [run(f"b{i}", new=1.0, t=1 + i / 1000) for i in range(3)]
    rows = {row.cell: row for row in run_rows(before, after, FLOORS)}
    assert [rows[name].verdict for name in ("old", "new")] == [Verdict.MISSING] * 2
    assert rows["old"].reason == "b0 and 2 more does not have it; was it renamed?"
    assert rows["t"].verdict is Verdict.SAME


def test_a_metric_that_one_run_lacks_is_missing() -> None:
    runs = [*three("a"), run("a3", other=1.0)]
    rows = run_rows(runs, three("b"), FLOORS)
    assert {row.verdict for row in rows} == {Verdict.MISSING}


def test_units_that_do_not_match_are_not_compared() -> None:
    after = [replace(each, metrics={"t": replace(each.metrics["t"], unit="ms")}) for each in three("b")]
    row = only(run_rows(three("a"), after, FLOORS))
    assert row.verdict is Verdict.MISSING
    assert row.reason == "the units do not match: s (lower is better) and ms (lower)"


@pytest.mark.parametrize("zero", [0.0, -1.0])
def test_a_figure_without_a_ratio_is_not_compared(zero: float) -> None:
    row = only(run_rows([*three("a"), run("a3", t=zero)], three("b"), FLOORS))
    assert row.verdict is Verdict.MISSING


def test_a_run_that_failed_requests_is_inaccurate_and_shows_no_figures() -> None:
    row = only(run_rows(three("a"), [*three("b", 0.5), run("b3", fault="12 of its requests failed", t=0.5)], FLOORS))
    assert row.verdict is Verdict.INACCURATE
    assert row.reason == "b3: 12 of its requests failed"
    assert (row.before, row.after) == (None, None)


def test_another_workload_is_not_compared() -> None:
    row = only(run_rows(three("a", rate="4"), three("b", rate="8"), FLOORS))
    assert row.verdict is Verdict.MISSING
    assert row.reason == "another workload or machine: rate is 4 before and 8 after"


def test_each_load_of_a_sweep_is_a_row_and_none_gets_lost() -> None:
    before = three("a", rate="4") + three("a", 2.0, rate="8")
    after = three("b", rate="4") + three("b", 3.0, rate="8") + three("b", rate="16")
    rows = {row.cell: row for row in run_rows(before, after, FLOORS)}
    assert {name: judged.verdict for name, judged in rows.items()} == {
        "rate=4 t": Verdict.SAME,
        "rate=8 t": Verdict.REGRESSED,
        "rate=16": Verdict.MISSING,
    }
    assert rows["rate=16"].reason == "only the runs after have these conditions"


def test_patterns_choose_rows_and_one_that_fits_nothing_is_refused() -> None:
    runs = [run(f"a{i}", median_t=1 + i / 1000, p99_t=2 + i / 1000) for i in range(3)]
    assert [row.cell for row in run_rows(runs, runs, FLOORS, ["median_*"])] == ["median_t"]
    with pytest.raises(UsageError, match=r"no metric fits 'mean_\*'; there are median_t, p99_t"):
        run_rows(runs, runs, FLOORS, ["mean_*"])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(UsageError, match=r"a\.json: 't' holds (nan|inf)"):
        run("a.json", t=bad)


def test_a_run_without_metrics_or_with_one_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="no metric in it"):
        collect("a.json", [])
    with pytest.raises(UsageError, match="'t' is there twice"):
        collect("a.json", [Metric("t", 1.0, "s", Better.LOWER)] * 2)


def rates(*values: float) -> list[Run]:
    return [collect(str(rate), [Metric("rate", rate, "req/s", Better.HIGHER)]) for rate in values]


def test_a_rate_that_fell_costs_more() -> None:
    old, new = rates(100, 100.1, 99.9), rates(80, 80.1, 79.9)
    row = only(run_rows(old, new, FLOORS))
    judgement = compare_runs([run.metrics["rate"] for run in old], [run.metrics["rate"] for run in new], FLOORS)
    estimate = judgement.estimate
    assert estimate is not None
    assert (row.verdict, row.reason, row.better) == (Verdict.REGRESSED, judgement.reason, "higher")
    assert (row.before, row.after, row.unit) == (pytest.approx(100), pytest.approx(80), "req/s")
    assert (row.ratio, row.low, row.high) == (estimate.ratio, estimate.low, estimate.high)
    assert row.ratio is not None
    assert row.ratio > 1


def test_a_row_without_figures_has_none() -> None:
    found = only(run_rows(rates(100), three("t"), FLOORS)[:1])
    assert (found.cell, found.verdict) == ("rate", Verdict.MISSING)
    assert (found.before, found.ratio, found.visible) == (None, None, None)
