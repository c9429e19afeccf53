"""Two sets of runs become rows; what cannot be compared says why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from vlbench.comparing.runs import meant_to_differ, run_rows
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


def test_what_only_the_runs_after_measure_is_new_and_leaves_the_rest_to_be_judged() -> None:
    told = {"version of t": "1", "cpu": "x"}
    after = [replace(each, metrics={**each.metrics, "u": Metric("u", 1.0, "s", Better.LOWER)}) for each in three("b")]
    after = [replace(each, conditions={**told, "version of u": "1"}) for each in after]
    rows = {row.cell: row for row in run_rows(three("a", **told), after, FLOORS)}
    assert {name: (row.verdict, row.gates) for name, row in rows.items()} == {
        "t": (Verdict.SAME, True),
        "u": (Verdict.MISSING, False),
    }
    assert rows["u"].reason == "new, and not judged: the runs before do not have it"
    other = [replace(each, conditions={**each.conditions, "version of t": "2"}) for each in after]
    row = only(run_rows(three("a", **told), other, FLOORS))
    assert (row.verdict, row.gates) == (Verdict.MISSING, True)
    assert row.reason == (
        "another workload or machine: version of t is 1 before and 2 after; "
        "if that is what is compared, name it: `vlbench judge --compare 'version of t'`"
    )


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
    without = replace(run("a3", t=1.0), metrics={"t": Metric("t", zero, "s", Better.LOWER)})
    row = only(run_rows([*three("a"), without], three("b"), FLOORS))
    assert row.verdict is Verdict.MISSING


def test_a_run_that_failed_requests_is_inaccurate_and_shows_no_figures() -> None:
    row = only(run_rows(three("a"), [*three("b", 0.5), run("b3", fault="12 of its requests failed", t=0.5)], FLOORS))
    assert row.verdict is Verdict.INACCURATE
    assert row.reason == "b3: 12 of its requests failed"
    assert (row.before, row.after) == (None, None)


@pytest.mark.parametrize("told", [{"total_input_tokens": "90"}, {}])
@pytest.mark.parametrize("lost", [1, 3])
def test_requests_that_were_lost_come_before_the_work_that_is_other_without_them(
    told: dict[str, str], lost: int
) -> None:
    whole, done = {"total_input_tokens": "100"}, {"total_output_tokens": 50.0}
    before, after = ([replace(each, answered=done) for each in three(side, **whole)] for side in "ab")
    fault: dict[str, Any] = {"fault": "12 of its requests failed", "answered": {"total_output_tokens": 40.0}}
    after[:lost] = [replace(each, conditions=whole | told, **fault) for each in after[:lost]]
    found = {row.verdict: row.reason for row in run_rows(before, after, FLOORS)}
    assert found[Verdict.INACCURATE] == "b0: 12 of its requests failed"


def test_another_workload_is_not_compared() -> None:
    row = only(run_rows(three("a", rate="4"), three("b", rate="8"), FLOORS))
    assert row.verdict is Verdict.MISSING
    assert row.reason == (
        "another workload or machine: rate is 4 before and 8 after; "
        "if that is what is compared, name it: `vlbench judge --compare rate`"
    )
    row = only(run_rows(three("a", rate="4", seed="1"), three("b", rate="8"), FLOORS))
    assert "rate is 4 before and 8 after (seed as well); if" in row.reason


def test_what_is_compared_may_differ_and_nothing_else() -> None:
    before, after = three("a", backend="v", rate="4"), three("b", backend="s", rate="4")
    old, new, notes = meant_to_differ(before, after, ["backend"])
    assert only(run_rows(old, new, FLOORS)).verdict is Verdict.SAME
    assert notes == ["meant to differ, and compared: backend is v before and s after"]
    old, new, _ = meant_to_differ(before, three("b", backend="s", rate="8"), ["backend"])
    row = only(run_rows(old, new, FLOORS))
    assert (row.verdict, row.reason.partition(";")[0]) == (
        Verdict.MISSING,
        "another workload or machine: rate is 4 before and 8 after",
    )


def test_each_load_of_a_sweep_is_compared_with_its_own() -> None:
    before = three("a", backend="v", rate="4") + three("a", backend="v", rate="8")
    after = three("b", backend="s", rate="4") + three("b", 3.0, backend="s", rate="8")
    assert "name it: `vlbench judge --compare backend`" in only(run_rows(before, after, FLOORS)).reason
    old, new, _ = meant_to_differ(before, after, ["backend"])
    assert [row.verdict for row in run_rows(old, new, FLOORS)] == [Verdict.SAME, Verdict.REGRESSED]


@pytest.mark.parametrize(
    ("key", "told"), [("rate", "; name one that is: backend"), ("no-such", "; name one that is: backend")]
)
def test_what_does_not_tell_the_sides_apart_is_not_compared(key: str, told: str) -> None:
    before, after = three("a", backend="v", rate="4"), three("b", backend="s", rate="4")
    sentence = f"--compare {key}: it is not one thing in all runs before and another in all after"
    with pytest.raises(UsageError, match=f"^{sentence}{told}$"):
        meant_to_differ(before, after, [key])
    mixed = [*before, *three("c", backend="s", rate="4")]
    with pytest.raises(UsageError, match=r"^--compare backend: .*, and nothing is; leave it out$"):
        meant_to_differ(mixed, after, ["backend"])


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


def test_a_time_is_called_a_time_and_any_other_figure_a_metric() -> None:
    assert only(run_rows(three("a"), three("b"), FLOORS)).measure == "time"
    assert only(run_rows(rates(1, 1.01, 1.02), rates(1, 1.01, 1.03), FLOORS)).measure == "metric"


def strange(runs: list[Run], *names: str) -> list[Run]:
    return [replace(each, unread=names) for each in runs]


def test_what_was_not_understood_is_a_row_that_keeps_the_verdict_open() -> None:
    same, row = run_rows(three("a"), strange(three("b"), "warp", "zap"), FLOORS)
    assert (same.verdict, row.verdict, row.cell) == (Verdict.SAME, Verdict.INCONCLUSIVE, "not understood")
    assert row.reason == "b0 holds what nobody here knows: warp, zap; name what to judge with --metric"


def test_who_names_metrics_hears_only_of_what_they_fit() -> None:
    after = strange(three("b"), "warp")
    assert [row.cell for row in run_rows(three("a"), after, FLOORS, ["t"])] == ["t"]
    assert [row.cell for row in run_rows(three("a"), after, FLOORS, ["t", "w*"])] == ["t", "not understood"]


def answering(name: str, completed: float | None = None, tokens: float | None = None, **conditions: str) -> list[Run]:
    told = {"completed": completed, "total_output_tokens": tokens}
    answered = {key: value for key, value in told.items() if value is not None}
    return [replace(each, answered=answered) for each in three(name, **conditions)]


def test_fewer_completed_requests_under_the_same_load_were_lost() -> None:
    before = answering("a", completed=505, total_input_tokens="9")
    row = only(run_rows(before, answering("b", completed=480, total_input_tokens="8"), FLOORS))
    assert row.verdict is Verdict.INACCURATE
    assert row.reason.startswith("480 requests were completed in one run and 505 in another, of the same load")
    row = only(run_rows(before, answering("b", completed=480, rate="8"), FLOORS))
    assert row.verdict is Verdict.MISSING


def test_sampling_may_move_the_tokens_that_came_back_a_little() -> None:
    before = answering("a", tokens=42_727)
    assert only(run_rows(before, answering("b", tokens=42_764), FLOORS)).verdict is Verdict.SAME
    assert only(run_rows(before, answering("b", tokens=43_581), FLOORS)).verdict is Verdict.SAME
    assert only(run_rows(before, answering("b", tokens=43_582), FLOORS)).verdict is Verdict.MISSING
    row = only(run_rows(before, answering("b", tokens=30_000), FLOORS))
    assert row.verdict is Verdict.MISSING
    assert row.reason == "not the same work: total_output_tokens is 42,727 before and 30,000 after"
    row = only(run_rows(before, answering("b"), FLOORS))
    assert row.reason == "not the same work: total_output_tokens is 42,727 before and not given after"


def test_other_questions_do_not_compare() -> None:
    old, new = ([collect("a", [Metric("acc", 0.5, "share", Better.HIGHER, questions=each)])] for each in (885, 900))
    row = only(run_rows(old, new, FLOORS))
    assert (row.verdict, row.reason) == (Verdict.MISSING, "other questions: 885 and 900 were asked")


def test_what_is_left_out_is_named_where_it_is_asked_for() -> None:
    runs = [replace(each, left_out=("mean_ttft_ms",)) for each in three("a")]
    with pytest.raises(UsageError, match=r"no metric fits 'mean_\*'; there are t; left out: mean_ttft_ms \(one slow"):
        run_rows(runs, three("b"), FLOORS, ["mean_*"])
