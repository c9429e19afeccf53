"""A capture from a GPU as evidence: what each range asked of it, held against an accepted capture.

A program's counts are the same in every forward, on a quiet and on a busy machine (692 launches in each of 15 forwards
that took 27 to 350 ms); its first pass through a range loads modules and fills pools, and is left out. A counter that
varies over the rest proves nothing and is not gated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vlbench.errors import IncomparableError, UsageError
from vlbench.judging.judged import JudgedRow, Move
from vlbench.judging.verdict import Verdict
from vlbench.nsys.compare import FACTS
from vlbench.nsys.projection import project
from vlbench.nsys.read import load
from vlbench.nsys.summary import counters, labels
from vlbench.record.baseline import CapturedCell, CapturedRange

if TYPE_CHECKING:
    import pandas as pd

STEADY = 0.9
"""The share of instances that must agree on a counter before it is gated on."""
FEWEST = 2
"""Instances of a range, after the first, that are evidence."""


def captured_cell(path: Path, pattern: str | None = None) -> CapturedCell:
    """The cell of a capture, of the ranges whose `domain:name` holds `pattern`. Raises UsageError."""
    capture = load(path)
    table = project(capture)
    wanted = _compiled(pattern)
    found = [
        _range(str(label), instances, counters(table))
        for label, instances in table.groupby(labels(table), observed=True, sort=False)
        if len(instances) > FEWEST and wanted.search(str(label))
    ]
    if not found:
        what = f"that fits {pattern!r} " if pattern else ""
        raise UsageError(
            f"{path}: no range {what}was gone through {FEWEST + 1} times or more, so no count is known to be steady; "
            "capture more iterations, or name other ranges"
        )
    if not (len(capture.api) or len(capture.gpu_ops)):
        raise UsageError(f"{path}: it holds no CUDA activity; capture a run that uses a GPU")
    return CapturedCell(
        name=path.name.partition(".")[0],
        source=capture.source,
        version=capture.version,
        gpus=tuple(sorted(set(capture.gpus))),
        facts={fact: told for fact in FACTS if (told := capture.fact(fact))},
        ranges=tuple(found),
    )


def judge_captured(stored: CapturedCell, new: CapturedCell) -> JudgedRow:
    """One row for the whole capture. Raises IncomparableError where the two do not count the same things."""
    _refuse(stored, new)
    after = {each.name: each for each in new.ranges}
    gone = [each.name for each in stored.ranges if each.name not in after]
    if gone:
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        reason = f"the range {gone[0]}{more} is not in the new capture, or not often enough"
        return _row(stored, Verdict.MISSING, reason)
    moves = [move for each in stored.ranges for move in _moves(each, after[each.name], stored.bands)]
    if not moves:
        compared = sum(len(each.counters) for each in stored.ranges)
        return _row(stored, Verdict.SAME, f"{compared} counters of {len(stored.ranges)} ranges are what they were")
    moves.sort(key=lambda move: move.before - move.after)
    worse = [move for move in moves if move.after > move.before]
    first = (worse or moves)[0]
    verdict = Verdict.REGRESSED if worse else Verdict.IMPROVED
    reason = f"{first.name} in {first.stage}: {first.before:,.0f} -> {first.after:,.0f} in each instance"
    return _row(stored, verdict, reason, tuple(moves))


def _range(name: str, instances: pd.DataFrame, names: list[str]) -> CapturedRange:
    kept = instances.sort_values("start", kind="stable").iloc[1:]
    usual: dict[str, int] = {}
    unsteady = []
    for counter in names:
        counts = kept[counter].value_counts()
        if counts.iloc[0] < STEADY * len(kept):
            unsteady.append(counter)
        elif value := int(str(counts.index[0])):
            usual[counter] = value
    return CapturedRange(name=name, instances=len(kept), counters=usual, unsteady=tuple(unsteady))


def _moves(before: CapturedRange, after: CapturedRange, bands: Mapping[str, float]) -> list[Move]:
    unsteady = {*before.unsteady, *after.unsteady}
    found = []
    for name in dict.fromkeys((*before.counters, *after.counters)):
        old, new = before.counters.get(name, 0), after.counters.get(name, 0)
        if name not in unsteady and abs(new - old) > bands.get(name, 0.0) * old:
            unit = "B" if name.startswith("bytes[") else ""
            found.append(Move(kind="counter", name=name, before=old, after=new, unit=unit, stage=before.name))
    return found


def _refuse(stored: CapturedCell, new: CapturedCell) -> None:
    if stored.source != new.source:
        raise IncomparableError(
            f"{new.name}: the baseline is from {stored.source} and this is from {new.source}, which do not count the "
            "same calls; capture with the same tool"
        )
    if stored.gpus != new.gpus:
        raise IncomparableError(
            f"{new.name}: the baseline is from {', '.join(stored.gpus) or 'an unknown GPU'} and this from "
            f"{', '.join(new.gpus) or 'an unknown GPU'}; capture on the same GPU"
        )
    for fact, words in FACTS.items():
        here, there = stored.facts.get(fact), new.facts.get(fact)
        if here and there and here != there:
            raise IncomparableError(f"{new.name}: the {words} was {here} and is {there}; capture with the same setting")


def _row(stored: CapturedCell, verdict: Verdict, reason: str, moves: tuple[Move, ...] = ()) -> JudgedRow:
    gpu = ", ".join(stored.gpus) or "unknown GPU"
    return JudgedRow(
        cell=f"capture {stored.name}, {gpu}", measure="counters", verdict=verdict, reason=reason, moves=moves
    )


def _compiled(pattern: str | None) -> re.Pattern[str]:
    try:
        return re.compile(pattern or "")
    except re.error as error:
        raise UsageError(f"--range {pattern!r} is not a regular expression ({error}); mend it") from None
