"""Rows of runs that people already had, as the comparison that every report is made from."""

from __future__ import annotations

from collections.abc import Sequence

from vlbench.comparing.runs import Row
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.judging.unpaired import RunFloors
from vlbench.record.runs import Better


def as_judged(
    command: str, sides: tuple[str, str], rows: Sequence[Row], floors: RunFloors, *, allow_inconclusive: bool = False
) -> Judged:
    """The same verdicts and figures. A confidence of 99 % calls one row in a hundred by chance."""
    return Judged(
        command=command,
        before=sides[0],
        after=sides[1],
        rows=tuple(map(_row, rows)),
        allow_inconclusive=allow_inconclusive,
        false_alarms=1 - floors.confidence,
    )


def _row(row: Row) -> JudgedRow:
    judgement, estimate = row.judgement, row.judgement.estimate
    return JudgedRow(
        cell=row.name,
        measure="time",
        verdict=judgement.verdict,
        reason=judgement.reason,
        before=row.before,
        after=row.after,
        unit=row.unit,
        better="more" if row.better is Better.HIGHER else "less",
        ratio=estimate.ratio if estimate else None,
        low=estimate.low if estimate else None,
        high=estimate.high if estimate else None,
        confidence=estimate.confidence if estimate else None,
        visible=judgement.visible,
    )
