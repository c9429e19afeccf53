"""Times of a patch, where they are asked for: pairs of processes in lock-step, as `vlbench ab` has them, and apart."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vlbench.judging.judged import JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.revisions.clocks import CLOCK, Times, is_seen
from vlbench.revisions.request import Pair, Request, way_of

if TYPE_CHECKING:
    from vlbench.trial.session import Watch


def timed_rows(pair: Pair, request: Request, top: Path, watch: Watch) -> list[JudgedRow]:
    """A row about accuracy and one about time for each point of the scenarios."""
    from vlbench.revisions.times import cell_of, measure, plans_of, rows_of
    from vlbench.trial.limits import end_of

    (tower,) = request.towers
    plans = [replace(plan, stages=False) for plan in plans_of(pair, request, tower)]
    until = end_of(time.monotonic(), request.budget)
    seen: list[tuple[Times, Times]] = []
    groups, _ = measure(plans, way_of(tower), replace(request, apart=True), until, top, watch, seen=seen)
    found = []
    for plan, group in zip(plans, groups, strict=True):
        found += rows_of(group, cell_of(tower, plan))
    return [
        JudgedRow.missing(row.cell, "time", CLOCK)
        if row.verdict is Verdict.IMPROVED and row.measure == "time" and seen and not is_seen(seen)
        else row.model_copy(update={"reason": pair.plain(row.reason)})
        for row in found
    ]
