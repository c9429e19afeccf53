"""A claim is called by what decides it, and by nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.judging.self_tests import self_test_group
from vlbench.counting_device import CountingDevice
from vlbench.judging.claims import CaseReport, Finding, judge_claim
from vlbench.judging.exit_codes import ExitCode
from vlbench.judging.summary import summaries
from vlbench.judging.verdict import Floors, Verdict
from vlbench.record.counted import CountedTower, Forward
from vlbench.record.counts import Counts, Tally
from vlbench.workload.cases import Claim


def counts(**tally: int) -> Counts:
    with CountingDevice("ghost", "sm_90") as device, device.count() as counter:
        pass
    total = Tally(**tally)
    found: Counts = counter.report
    return found.model_copy(update={"total": total, "stages": {"plan": total}, "operations": {"aten::cos": 3}})


def tower(found: Counts, failed: str | None = None) -> CountedTower:
    forward = Forward(counts=found, sites=())
    return CountedTower(name="x", tower="x", warm=None if failed else forward, cold=forward, failed=failed)


def claim(**by: Any) -> Claim:
    return Claim.model_validate({"says": "so", "counted": {"at": "a", "of": "new", "against": "old"} | by})


def found(one: Claim, old: int, new: int) -> tuple[Finding, str]:
    both = {("a", "old"): tower(counts(host_syncs=old)), ("a", "new"): tower(counts(host_syncs=new))}
    result = judge_claim(one, both, {}, {})
    return result.finding, result.ours


@pytest.mark.parametrize(
    ("by", "old", "new", "finding"),
    [
        ({"expect": "falls"}, 10, 9, "re-enacted"),
        ({"expect": "falls"}, 10, 10, "contradicts"),
        ({"expect": "falls", "least": 0.2}, 10, 9, "contradicts"),
        ({"expect": "falls", "least": 0.1}, 10, 9, "re-enacted"),
        ({"expect": "falls", "most": 0.5}, 10, 4, "contradicts"),
        ({"expect": "falls", "most": 0.5}, 10, 5, "re-enacted"),
        ({"expect": "rises", "least": 0.3}, 10, 13, "re-enacted"),
        ({"expect": "rises"}, 10, 9, "contradicts"),
        ({"expect": "rises"}, 0, 1, "re-enacted"),
        ({"expect": "falls"}, 0, 0, "contradicts"),
        ({"expect": "stays"}, 7, 7, "re-enacted"),
        ({"expect": "stays"}, 7, 8, "contradicts"),
        ({"expect": "is", "exactly": 0}, 7, 0, "re-enacted"),
        ({"expect": "is", "exactly": 0}, 7, 1, "contradicts"),
        ({"expect": "falls", "stage": "plan"}, 10, 9, "re-enacted"),
        ({"expect": "stays", "stage": "no such"}, 10, 9, "not shown"),
    ],
)
def test_counts_decide(by: dict[str, Any], old: int, new: int, finding: str) -> None:
    assert found(claim(counter="host_syncs", **by), old, new)[0] == finding


def test_the_figures_are_told() -> None:
    assert found(claim(counter="host_syncs", expect="rises"), 5_444, 7_251)[1] == "host syncs: 5,444 -> 7,251 (+33%)"
    assert found(claim(counter="host_syncs", expect="rises", stage="plan"), 0, 2)[1] == (
        "host syncs of stage plan: 0 -> 2"
    )
    assert found(claim(operation="cos", expect="stays"), 1, 1) == ("re-enacted", "cos operations: 3 -> 3")
    assert found(claim(operation="cosinus", expect="is", exactly=0), 1, 1) == (
        "not shown",
        "neither old nor new has cosinus",
    )


def test_what_was_not_counted_whole_shows_nothing() -> None:
    both = {("a", "old"): tower(counts()), ("a", "new"): tower(counts(), failed="it raised")}
    result = judge_claim(claim(counter="host_syncs", expect="falls"), both, {}, {})
    assert (result.finding, result.ours) == (Finding.NOT_SHOWN, "new could not be counted whole: it raised")


ON_A_CPU = {"t": "a CPU"}


def timed(**by: Any) -> Claim:
    return Claim.model_validate({"says": "so", "timed": {"at": "t", "of": "row"} | by})


@pytest.mark.parametrize(
    ("shift", "by", "finding"),
    [
        (-0.2, {"expect": "faster"}, "re-enacted"),
        (-0.2, {"expect": "faster", "least": 0.1}, "re-enacted"),
        (-0.2, {"expect": "faster", "least": 0.4}, "contradicts"),
        (0.2, {"expect": "faster"}, "contradicts"),
        (0.0, {"expect": "faster"}, "contradicts"),
        (0.0, {"expect": "no change"}, "re-enacted"),
        (-0.2, {"expect": "no change"}, "contradicts"),
    ],
)
def test_times_decide(shift: float, by: dict[str, Any], finding: str) -> None:
    group = self_test_group({"row": (0.0, 1 + shift)}, confirmed={"row": 1 + shift} if shift else {})
    rows = {("t", each.row.name): each for each in summaries(group, Floors())}
    result = judge_claim(timed(**by), {}, rows, ON_A_CPU)
    assert result.finding == finding
    change = rows["t", "row"].estimate
    assert change is not None
    assert result.ours == f"{1 / change.ratio:.2f}x [{1 / change.high:.2f}, {1 / change.low:.2f}] on a CPU"
    assert 1 / change.high < 1 / change.ratio < 1 / change.low


@pytest.mark.parametrize(("confirmed", "finding"), [({"row": 0.8}, "re-enacted"), ({}, "not shown")])
def test_two_processes_say_that_something_is_faster_and_one_does_not(confirmed: dict[str, float], finding: str) -> None:
    group = self_test_group({"row": (0.0, 0.8)}, trials=1, confirmed=confirmed)
    rows = {("t", each.row.name): each for each in summaries(group, Floors())}
    result = judge_claim(timed(expect="faster"), {}, rows, ON_A_CPU)
    assert result.finding == finding
    assert ("not measured in a second one" in result.ours) is (finding == "not shown")


def test_a_row_without_times_shows_nothing() -> None:
    result = judge_claim(timed(expect="faster"), {}, {}, ON_A_CPU)
    assert (result.finding, result.ours) == (Finding.NOT_SHOWN, "row has no times: it was not measured")


def test_what_is_not_at_hand_is_named() -> None:
    result = judge_claim(Claim(says="so", needs="a server", published="2x", source="them"), {}, {}, {})
    assert (result.finding, result.ours, result.published, result.source) == (
        Finding.NEEDS,
        "it takes a server",
        "2x",
        "them",
    )
    result = judge_claim(timed(expect="faster"), {}, {}, {"another": "a CPU"})
    assert (result.finding, result.ours) == (Finding.NEEDS, "it takes a GPU, where this case times it")


@pytest.mark.parametrize(("old", "why"), [(10, "they count otherwise"), (20, "")])
def test_what_contradicts_says_why_and_nothing_else_does(old: int, why: str) -> None:
    by = {"at": "a", "of": "new", "against": "old", "counter": "host_syncs", "expect": "falls", "least": 0.5}
    one = Claim.model_validate({"says": "so", "counted": by, "why": "they count otherwise"})
    both = {("a", "old"): tower(counts(host_syncs=old)), ("a", "new"): tower(counts(host_syncs=9))}
    assert judge_claim(one, both, {}, {}).why == why


@pytest.mark.parametrize(
    ("counted", "lost", "code"),
    [
        ({"a": {"x": Tally()}}, {}, ExitCode.OK),
        ({"a": {"x": Tally(), "y": None}}, {}, ExitCode.MISSING),
        ({"a": {"x": Tally()}}, {"without_times": ("z",)}, ExitCode.MISSING),
        ({"a": {"x": None}}, {"inaccurate": ("z",), "without_times": ("z",)}, ExitCode.INACCURATE),
    ],
)
def test_a_case_ends_with_what_could_not_be_judged(counted: Any, lost: Any, code: ExitCode) -> None:
    told = dict.fromkeys(("case", "title", "source", "about", "vlbench", "profile"), "")
    assert CaseReport(**told, counted=counted, models={}, found=(), **lost).exit_code is code


@pytest.mark.parametrize(("high", "finding"), [(1.04, "re-enacted"), (1.06, "not shown")])
def test_an_interval_within_the_threshold_shows_that_nothing_changed(high: float, finding: str) -> None:
    group = self_test_group({"row": (0.0, 1.0)})
    row = next(each for each in summaries(group, Floors()) if each.row.name == "row")
    assert row.estimate
    wide = replace(row.judgement, verdict=Verdict.INCONCLUSIVE, estimate=replace(row.estimate, low=0.96, high=high))
    seen = {("t", "row"): replace(row, judgement=wide, is_quick=False)}
    assert judge_claim(timed(expect="no change"), {}, seen, ON_A_CPU).finding == finding
    quick = {("t", "row"): replace(row, judgement=wide, is_quick=True)}
    assert judge_claim(timed(expect="no change"), {}, quick, ON_A_CPU).finding == "not shown"
