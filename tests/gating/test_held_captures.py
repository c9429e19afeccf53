"""What a change may do to the captures of a baseline."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gating.held import BEFORE, ENTRY, FEW, FILE, head
from tests.record.baselines import ACCEPTED, baseline
from vlbench.comparing.captured import judge_captured
from vlbench.gating.changes import changes, loosened
from vlbench.gating.held import Held
from vlbench.gating.timed import GateResult
from vlbench.judging.judged import JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.record.baseline import Baseline, CapturedCell, CapturedRange


def captured(**counters: int) -> CapturedCell:
    found = CapturedRange(name="vlbench:forward", instances=9, counters=counters)
    return CapturedCell(name="run", source="nsys", version="2025.1", gpus=("H100",), facts={}, ranges=(found,))


def test_a_range_that_the_change_takes_out_of_a_capture_is_missing() -> None:
    one = captured(launches=10)
    other = one.ranges[0].model_copy(update={"name": "vlbench:other"})
    two = one.model_copy(update={"ranges": (*one.ranges, other)})
    same = JudgedRow(cell="capture run", measure="counters", verdict=Verdict.SAME, reason="the same")
    held = Held(FILE, baseline(captured=(two,)), head(captured=(one,)), "base")
    row = list(held.settle(GateResult([same], [], [two])).rows)[-1]
    assert (row.verdict, "no longer lists what base does" in row.reason) == (Verdict.MISSING, True)


def test_a_range_that_the_new_capture_names_otherwise_is_accepted_so() -> None:
    old, stray = captured(launches=10), captured(launches=10)
    new = old.model_copy(update={"ranges": (old.ranges[0].model_copy(update={"name": "vlbench:renamed"}),)})
    gone = judge_captured(old, new)
    assert gone.verdict is Verdict.MISSING
    for measured, verdict in ((new, Verdict.ACCEPTED), (stray, Verdict.MISSING)):
        held = Held(FILE, baseline(captured=(old,)), head(captured=(new,)), "base")
        assert list(held.settle(GateResult([gone], [], [measured])).rows)[-1].verdict is verdict


def test_a_capture_whose_name_begins_like_another_is_that_other() -> None:
    few = captured(launches=10)
    longer, more = (captured(launches=each).model_copy(update={"name": "runs"}) for each in (10, 12))
    worse = JudgedRow(cell="capture runs", measure="counters", verdict=Verdict.REGRESSED, reason="launches rose")
    held = Held(FILE, baseline(captured=(few, longer)), head(captured=(few, more)), "base")
    assert list(held.settle(GateResult([worse], [], [few, more])).rows)[-1].verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"counters": {"launches": 10}, "unsteady": ("syncs",)}, "unsteady"),
        ({"mixed": {"syncs": (2.0, 9_999)}, "counters": {"launches": 10}}, "mixed (2 on average, at most 9,999)"),
    ],
)
def test_a_counter_that_the_change_lets_vary_is_accepted_by_its_name(fields: Any, told: str) -> None:
    """Else any acceptance would let the next change rise."""
    one = captured(launches=10, syncs=2)
    loose = one.model_copy(update={"ranges": (one.ranges[0].model_copy(update=fields),)})
    assert judge_captured(loose, captured(launches=10, syncs=500)).verdict is not Verdict.MISSING
    same = JudgedRow(cell="capture run", measure="counters", verdict=Verdict.SAME, reason="the same")
    before, by_name = (
        baseline(captured=(one,)),
        ENTRY.model_copy(update={"changes": changes(baseline(captured=(one,)), baseline(captured=(loose,)))}),
    )
    assert by_name.changes == (f"run: syncs in vlbench:forward 2 -> {told}",)

    def found(after: Baseline, accepts: bool = True) -> JudgedRow:
        return Held(FILE, before, after, "base", accepts).settle(GateResult([same], [], [one])).rows[-1]

    row = found(head(captured=(loose,), entries=(ACCEPTED, by_name)))
    assert (row.verdict, "no longer judged to the digit: syncs in vlbench:forward" in row.reason) == (
        Verdict.ACCEPTED,
        True,
    )
    others = (
        by_name.model_copy(update={"changes": (text,)})
        for text in ("run: hidden_syncs in vlbench:forward 2 -> 3", "other: " + by_name.changes[0])
    )
    for entries in ((ACCEPTED,), (ACCEPTED, ENTRY), *((ACCEPTED, each) for each in others)):
        assert found(head(captured=(loose,), entries=entries)).verdict is Verdict.MISSING
    assert found(head(captured=(loose,), entries=(ACCEPTED, by_name)), accepts=False).verdict is Verdict.MISSING


def test_fewer_instances_are_accepted_by_name_and_are_no_matter_in_a_new_capture() -> None:
    """They let the mean of a counter differ by more."""
    one = captured(launches=10)
    few = one.model_copy(update={"ranges": (one.ranges[0].model_copy(update={"instances": 3}),)})
    before = baseline(captured=(one,))
    told = changes(before, baseline(captured=(few,)))
    assert told == ("run: instances in vlbench:forward 9 -> 3",)
    same = JudgedRow(cell="capture run", measure="counters", verdict=Verdict.SAME, reason="the same")
    for said, verdict in ((told, Verdict.ACCEPTED), (("edited by hand",), Verdict.MISSING)):
        after = head(captured=(few,), entries=(ACCEPTED, ENTRY.model_copy(update={"changes": said})))
        row = Held(FILE, before, after, "base").settle(GateResult([same], [], [one])).rows[-1]
        assert row.verdict is verdict
        assert "no longer judged to the digit: instances in vlbench:forward; the same" in row.reason
    longer = Held(FILE, before, head(captured=(one,)), "base").settle(GateResult([same], [], [few])).rows[-1]
    new = Held(FILE, BEFORE, head(FEW, captured=(few,)), "base").settle(GateResult([same], [], [one])).rows[-1]
    assert longer.verdict is new.verdict is Verdict.SAME


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("source", "kineto", "source nsys -> kineto"),
        ("gpus", ("H100", "H200"), "GPUs H100 -> H100, H200"),
        ("facts", {"CUDA graph mode": "node"}, "CUDA graph mode none -> node"),
        ("beside", {"syncs": 1000}, "syncs beside the ranges none -> 1,000"),
        ("unmeasured", {"bytes": "no size"}, "bytes not measured none -> no size"),
    ],
)
def test_whatever_a_capture_is_judged_by_is_named_where_it_changes(field: str, value: Any, told: str) -> None:
    one = captured(launches=10)
    after = baseline(captured=(one.model_copy(update={field: value}),))
    assert changes(baseline(captured=(one,)), after) == (f"run: {told}",)


def test_a_new_capture_lets_vary_only_what_varies() -> None:
    one = captured(launches=10, syncs=2)
    loose = one.model_copy(
        update={"ranges": (one.ranges[0].model_copy(update={"unsteady": ("syncs",), "counters": {"launches": 10}}),)}
    )
    same = JudgedRow(cell="capture run", measure="counters", verdict=Verdict.SAME, reason="the same")
    for claimed, verdict in ((loose, Verdict.MISSING), (one, Verdict.SAME)):
        held = Held(FILE, BEFORE, head(FEW, captured=(claimed,)), "base")
        assert held.settle(GateResult([same], [], [one])).rows[-1].verdict is verdict


@pytest.mark.parametrize(
    ("claimed", "verdict"),
    [({"syncs": 4}, "accepted"), ({"syncs": 400}, "missing"), ({}, "missing"), (None, "missing")],
)
def test_calls_beside_the_ranges_are_accepted_with_exactly_their_figures(claimed: Any, verdict: str) -> None:
    one = captured(launches=10).model_copy(update={"beside": {"syncs": 1}})
    now, after = (one.model_copy(update={"beside": each}) for each in ({"syncs": 4}, claimed))
    worse = judge_captured(one, now)
    assert worse.verdict is Verdict.MISSING
    held = Held(FILE, baseline(captured=(one,)), head(captured=(after,)), "base")
    assert held.settle(GateResult([worse], [], [now])).rows[-1].verdict == verdict


@pytest.mark.parametrize("title", ["capture run", "capture run, H100"])
def test_a_capture_is_accepted_with_exactly_its_figures(title: str) -> None:
    few, many = captured(launches=10), captured(launches=12)
    wide = captured(launches=11).model_copy(update={"bands": {"launches": 0.9}})
    worse = JudgedRow(cell=title, measure="counters", verdict=Verdict.REGRESSED, reason="launches rose")

    def found(before: CapturedCell, after: CapturedCell) -> JudgedRow:
        held = Held(FILE, baseline(captured=(before,)), head(captured=(after,)), "base")
        return list(held.settle(GateResult([worse], [], [many])).rows)[-1]

    assert found(few, many).verdict is Verdict.ACCEPTED
    for claimed in (captured(launches=11), wide, few):  # no band takes the place of figures
        assert found(few, claimed).verdict is Verdict.REGRESSED


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [((2.0, 10), (2.0, 11), ["syncs in vlbench:forward"]), ((2.0, 10), (2.5, 10), []), ((2.0, 10), (1.0, 9), [])],
)
def test_a_counter_that_may_rise_further_than_before_is_looser(
    before: tuple[float, int], after: tuple[float, int], names: list[str]
) -> None:
    one, other = (
        captured(launches=10).model_copy(
            update={"ranges": (captured(launches=10).ranges[0].model_copy(update={"mixed": {"syncs": each}}),)}
        )
        for each in (before, after)
    )
    assert loosened(one, other) == names


def test_a_newer_version_of_the_tool_moves_no_figure() -> None:
    old, newer = captured(launches=10), captured(launches=10).model_copy(update={"version": "2025.2"})
    same = JudgedRow(cell="capture run", measure="counters", verdict=Verdict.SAME, reason="the same")
    held = Held(FILE, baseline(captured=(old,)), head(captured=(newer,), entries=(ACCEPTED,)), "base")
    assert held.settle(GateResult([same], [], [newer])).rows[-1] == same
