"""Further calls of two counts: what they add to the verdict on a cell, and to what a reviewer reads."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.record.baselines import baseline, cell, forward
from vlbench.comparing.counted import judge_cells
from vlbench.gating.changes import changes
from vlbench.judging.verdict import Verdict
from vlbench.record.baseline import CountedCell
from vlbench.record.counted import Further

CALLS = ("first call", "second", "third", "no grad", "two items")
ALL = dict.fromkeys(CALLS, 1)


def counted(syncs: int, calls: dict[str, int], **bands: float) -> CountedCell:
    each = {name: {"host_syncs": calls.get(name, 0)} for name in CALLS}
    return cell(forward(host_syncs=syncs), bands=bands, further=Further(calls=each))


@pytest.mark.parametrize(
    ("syncs", "calls", "reason", "rows"),
    [
        (1, ALL, "host syncs rose from 0 to 1; the same in all 5 small calls", []),
        (1, {"third": 1}, "host syncs rose from 0 to 1; the same in third, small grid", []),
        (
            1,
            ALL | {"two items": 2},
            "host syncs rose from 0 to 1; the same in 4 of 5 small calls; "
            "host syncs (two items, small grid) rose from 0 to 2",
            ["host syncs (two items, small grid)"],
        ),
        (
            0,
            ALL,
            "host syncs (all 5 small calls) rose from 0 to 1; all 15 counters of both forwards are equal",
            ["host syncs (all 5 small calls)"],
        ),
    ],
)
def test_the_cell_itself_comes_first_and_calls_like_it_are_summed_up(
    syncs: int, calls: dict[str, int], reason: str, rows: list[str]
) -> None:
    row = judge_cells(counted(0, {}), counted(syncs, calls))
    assert (row.verdict, row.reason) == (Verdict.REGRESSED, reason)
    assert [move.name for move in row.moves if "(" in move.name] == rows


def test_a_rise_within_its_band_hides_none_of_small_calls() -> None:
    old, new = counted(9, dict.fromkeys(CALLS, 9), host_syncs=0.5), counted(10, dict.fromkeys(CALLS, 10))
    row = judge_cells(old, new)
    assert row.verdict is Verdict.REGRESSED
    assert row.reason.startswith("host syncs (all 5 small calls) rose from 9 to 10; what moved stayed within its band")


def test_a_reviewer_reads_calls_that_changed_alike_once() -> None:
    old, new = baseline(counted(0, {})), baseline(counted(1, ALL))
    assert [line.split(": ", 1)[1] for line in changes(old, new)] == [
        "host_syncs 0 -> 1, host_syncs the same in all 5 small calls"
    ]


def counting(full: int, small: int) -> CountedCell:
    return cell(forward(device_operations=full), further=Further(calls={"first call": {"device_operations": small}}))


@pytest.mark.parametrize(
    ("full", "small", "verdict"),
    [(15, 15, Verdict.MISSING), (15, 14, Verdict.IMPROVED), (20, 15, Verdict.SAME), (15, 16, Verdict.REGRESSED)],
)
def test_what_falls_at_full_size_alone_is_not_better(full: int, small: int, verdict: Verdict) -> None:
    row = judge_cells(counting(20, 15), counting(full, small))
    assert row.verdict is verdict
    assert ("fell at full size alone" in row.reason) is (verdict is Verdict.MISSING)


@pytest.mark.parametrize(
    "edit", [{"calls": {"first call": {"host_syncs": -5}}}, {"calls": {"first call": {"zork": 7}}}, {"kept_bytes": -1}]
)
def test_further_calls_hold_counters_that_there_are_and_none_below_zero(edit: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(edit))):
        Further.model_validate({"calls": {}} | edit)
