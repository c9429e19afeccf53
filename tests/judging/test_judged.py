"""Rows of exact counts, and what a comparison adds up to."""

from __future__ import annotations

import pytest

from vlbench.judging.exit_codes import ExitCode
from vlbench.judging.judged import Judged, JudgedRow, Move
from vlbench.judging.verdict import Verdict

SAME, REGRESSED, IMPROVED = Verdict.SAME, Verdict.REGRESSED, Verdict.IMPROVED


def move(name: str, before: float, after: float, stage: str = "") -> Move:
    return Move(kind="counter", name=name, before=before, after=after, stage=stage)


ROSE, FELL, STAYED = move("syncs", 1, 2), move("copies", 3000, 1, "attention"), move("uploads", 4, 4)


@pytest.mark.parametrize(
    ("moves", "told", "verdict", "reason"),
    [
        ([], "", SAME, "all as before"),
        ([], "not said where nothing moved", SAME, "all as before"),
        ([ROSE], "", REGRESSED, "syncs rose from 1 to 2"),
        ([FELL], "", IMPROVED, "copies in attention fell from 3,000 to 1"),
        ([FELL, ROSE], "", REGRESSED, "syncs rose from 1 to 2"),
        ([ROSE, move("reads", 0, 7), FELL], "", REGRESSED, "syncs rose from 1 to 2, and 1 more"),
        ([FELL, move("reads", 7, 0)], "", IMPROVED, "copies in attention fell from 3,000 to 1, and 1 more"),
        ([STAYED, FELL], "fewer in all", IMPROVED, "fewer in all"),
        ([ROSE], "more in all", REGRESSED, "more in all"),
    ],
)
def test_any_counter_that_rises_is_a_regression(moves: list[Move], told: str, verdict: Verdict, reason: str) -> None:
    row = JudgedRow.counted("a cell", moves, "all as before", told)
    assert (row.cell, row.measure, row.verdict, row.reason) == ("a cell", "counters", verdict, reason)
    assert row.moves == tuple(moves)
    assert row.gates


def test_what_is_missing_gates_unless_it_is_said_not_to() -> None:
    row = JudgedRow.missing("a cell", "time", "it is gone")
    assert (row.verdict, row.measure, row.reason, row.gates) == (Verdict.MISSING, "time", "it is gone", True)
    assert not JudgedRow.missing("a cell", "time", "it is gone", gates=False).gates


def judged(*rows: JudgedRow, **fields: object) -> Judged:
    return Judged.model_validate({"command": "gate", "before": "a", "after": "b", "rows": rows, **fields})


def row(verdict: Verdict, *, gates: bool = True) -> JudgedRow:
    return JudgedRow(cell="a", measure="time", verdict=verdict, reason="-", gates=gates)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (judged(), ExitCode.MISSING),
        (judged(row(SAME), row(IMPROVED)), ExitCode.OK),
        (judged(row(SAME), row(REGRESSED, gates=False)), ExitCode.OK),
        (judged(row(SAME, gates=False)), ExitCode.MISSING),
        (judged(row(Verdict.INCONCLUSIVE)), ExitCode.INCONCLUSIVE),
        (judged(row(Verdict.INCONCLUSIVE), row(SAME), allow_inconclusive=True), ExitCode.OK),
        (judged(row(Verdict.INCONCLUSIVE), row(REGRESSED), allow_inconclusive=True), ExitCode.REGRESSED),
        (judged(row(REGRESSED), row(Verdict.MISSING), row(Verdict.INACCURATE)), ExitCode.INACCURATE),
    ],
)
def test_rows_that_gate_add_up_to_an_exit_code(found: Judged, code: ExitCode) -> None:
    assert found.exit_code is found.finding is code
    assert found.schema_version == 1


def test_a_report_alone_ends_with_0_and_keeps_what_it_found() -> None:
    found = judged(row(REGRESSED), enforced=False)
    assert (found.exit_code, found.finding) == (ExitCode.OK, ExitCode.REGRESSED)
