"""Two files beside each other: every row that both hold, judged, and every other, with why it is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from vlbench.comparing.captured import judge_captured
from vlbench.comparing.counted import judge_cells
from vlbench.comparing.runs_diff import run_rows
from vlbench.comparing.sides import Cell, Failed, Side, read_side
from vlbench.comparing.timed_cells import stored_trials
from vlbench.comparing.timed_rows import changed_row, counter_moves
from vlbench.errors import IncomparableError, UsageError
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.judging.stored import vote_against
from vlbench.judging.unpaired import RunFloors
from vlbench.judging.verdict import Floors, Verdict
from vlbench.record.baseline import CapturedCell, CountedCell, TimedCell
from vlbench.record.fingerprint import comparable

Measure = Literal["counters", "time"]

CONDITIONS = {
    "grids": "fed other grids",
    "reference": "timed against another reference",
    "weights": "run with other weights",
    "seed": "drawn from another seed",
    "threads": "run with another number of threads",
}
"""Fields of a timed cell that must agree, and what to say where one does not."""


def diff(before: str, after: str) -> Judged:
    """The report on `after` held against `before`.

    Both are files of ours (results, a baseline, a count), or both are results of a benchmark tool that
    `vlbench.readers` knows; then a pattern such as `old-*.json` may stand for several runs. Raises UsageError for
    a file that cannot be read, IncomparableError where the two have nothing in common.
    """
    old, new = read_side(before), read_side(after)
    if old and new:
        return Judged(command="diff", before=old.words, after=new.words, rows=tuple(_rows(old, new)))
    if old or new:
        ours, other = (before, after) if old else (after, before)
        if not Path(other).exists():
            raise UsageError(f"{other}: no such file; give results, a baseline or a count")
        raise IncomparableError(
            f"{ours} is of vlbench and {other} is not: what they hold was not measured alike; give two of a kind"
        )
    floors = RunFloors()
    rows = tuple(run_rows(before, after, floors))
    return Judged(command="diff", before=before, after=after, rows=rows, false_alarms=1 - floors.confidence)


def _rows(old: Side, new: Side) -> Iterator[JudgedRow]:
    """The rows of every kind of cell that both files hold any of."""
    kinds = [kind for kind in ("counted", "captured", "timed") if getattr(old, kind) and getattr(new, kind)]
    common = [kind for kind in kinds if getattr(old, kind).keys() & getattr(new, kind).keys()]
    if not common:
        raise IncomparableError(
            f"{old.source} holds {old.contents} and {new.source} {new.contents}: they have none in common; "
            "compare files of the same towers and scenarios"
        )
    for kind in kinds:
        left, right = getattr(old, kind), getattr(new, kind)
        for key in dict.fromkeys((*left, *right)):
            yield from _pair(old, new, left.get(key), right.get(key), kind)


def _pair(old: Side, new: Side, a: Cell | None, b: Cell | None, kind: str) -> Iterator[JudgedRow]:
    match a, b:
        case CountedCell(), CountedCell():
            yield judge_cells(a, b)
        case CapturedCell(), CapturedCell():
            try:
                yield judge_captured(a, b)
            except IncomparableError as error:
                yield _missing(a.name, str(error), "counters")
        case TimedCell(), TimedCell():
            yield from _timed(old, new, a, b)
        case _:
            yield _one_sided(old, new, a, b, "time" if kind == "timed" else "counters")


def _timed(old: Side, new: Side, a: TimedCell, b: TimedCell) -> Iterator[JudgedRow]:
    for name, words in CONDITIONS.items():
        if getattr(a, name) != getattr(b, name):
            yield _missing(a.name, f"the two were {words}: {_words(getattr(a, name))} and {_words(getattr(b, name))}")
            return
    assert old.fingerprint
    assert new.fingerprint
    if machines := comparable(old.fingerprint, new.fingerprint):
        yield _missing(a.name, f"from two classes of machine, and times do not travel ({'; '.join(machines)})")
    else:
        floors = Floors(relative=a.floor, threshold=a.threshold)
        yield changed_row(a, b, vote_against(stored_trials(a), stored_trials(b), floors))
    if a.counts and b.counts:
        torches = (old.fingerprint.torch, new.fingerprint.torch)
        if torches[0] == torches[1]:
            yield _operations(a, b)
        else:
            reason = f"counted with torch {' and '.join(torches)}: such counts do not compare"
            yield _missing(a.name, reason, "counters")


def _operations(a: TimedCell, b: TimedCell) -> JudgedRow:
    """What the trials saw a warm forward ask for: exact, so that any rise is one."""
    moves = tuple(counter_moves(a.counts, b.counts))
    rose = any(move.after > move.before for move in moves)
    verdict = Verdict.REGRESSED if rose else Verdict.IMPROVED if moves else Verdict.SAME
    told = ", ".join(f"{move.name.replace('_', ' ')} {move.before:,.0f} -> {move.after:,.0f}" for move in moves)
    reason = f"a warm forward: {told}" if told else "a warm forward asks for the same"
    return JudgedRow(cell=a.name, measure="counters", verdict=verdict, reason=reason, moves=moves)


def _one_sided(old: Side, new: Side, a: Cell | None, b: Cell | None, measure: Measure) -> JudgedRow:
    """A row without figures on one side. What is wrong now is inaccurate; what was wrong before is just no help."""
    if isinstance(b, Failed) and b.inaccurate:
        reason = f"{new.source}: {b.reason}"
        return JudgedRow(cell=b.name, measure="accuracy", verdict=Verdict.INACCURATE, reason=reason)
    there = a or b
    assert there is not None
    for side, cell in ((old, a), (new, b)):
        if isinstance(cell, Failed):
            return _missing(there.name, f"{side.source}: {cell.reason}", measure)
    lacking = new if b is None else old
    return _missing(there.name, f"{lacking.source} does not have it; was it renamed, or left out?", measure)


def _missing(cell: str, reason: str, measure: Measure = "time") -> JudgedRow:
    return JudgedRow(cell=cell, measure=measure, verdict=Verdict.MISSING, reason=reason)


def _words(value: object) -> str:
    return f"{len(value)} items" if isinstance(value, tuple) else str(value)
