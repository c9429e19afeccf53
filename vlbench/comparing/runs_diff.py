"""Results of other benchmark tools beside each other, as rows of the same report."""

from __future__ import annotations

from collections.abc import Iterator

from vlbench.comparing.inputs import read_sides
from vlbench.comparing.runs import Row, compare
from vlbench.judging.judged import JudgedRow
from vlbench.judging.unpaired import RunFloors
from vlbench.judging.verdict import Verdict


def run_rows(before: str, after: str, floors: RunFloors) -> Iterator[JudgedRow]:
    """A row per metric of two files, or of two patterns that name several runs each. Raises UsageError.

    Nothing pairs the runs of two sides, so that fewer than three a side are inconclusive.
    """
    for row in compare(*read_sides([before], [after], options=("A", "B")), floors):
        yield _judged(row)


def _judged(row: Row) -> JudgedRow:
    judgement, estimate = row.judgement, row.judgement.estimate
    return JudgedRow(
        cell=row.name,
        measure="accuracy" if judgement.verdict is Verdict.INACCURATE else "time",
        verdict=judgement.verdict,
        reason=judgement.reason,
        before=row.before,
        after=row.after,
        unit=row.unit,
        ratio=estimate.ratio if estimate else None,
        low=estimate.low if estimate else None,
        high=estimate.high if estimate else None,
        confidence=estimate.confidence if estimate else None,
        visible=judgement.visible,
    )
