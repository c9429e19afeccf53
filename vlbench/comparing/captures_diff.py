"""The difference of two captures as rows with verdicts, one for each range."""

from __future__ import annotations

from vlbench.judging.judged import Judged, JudgedRow, Move
from vlbench.judging.verdict import Verdict
from vlbench.nsys.compare import Difference


def as_judged(found: Difference, before: str, after: str) -> Judged:
    """What a gate would say of it: a count that went up is a regression, and times have no say.

    `before` and `after` name the captures. A range that is new is noted; one that is gone is missing.
    """
    notes = [*found.notes, *(f"the range {name} is new" for name in found.appeared)]
    return Judged(command="nsys diff", before=before, after=after, rows=tuple(_rows(found)), notes=tuple(notes))


def _rows(found: Difference) -> list[JudgedRow]:
    if found.obstacles:
        return [_row("the captures", Verdict.MISSING, f"they do not compare: {'; '.join(found.obstacles)}")]
    gone = [_row(name, Verdict.MISSING, "the range is not in the new capture") for name in found.vanished]
    moves: dict[str, list[Move]] = {name: [] for name in found.compared}
    for row in found.counters.itertuples():
        counter = str(row.counter)
        unit = "B" if counter.startswith("bytes[") else ""
        moves[str(row.range)].append(Move(kind="counter", name=counter, before=row.a, after=row.b, unit=unit))
    return [*gone, *(_judged(name, each) for name, each in moves.items())]


def _judged(name: str, moves: list[Move]) -> JudgedRow:
    if not moves:
        return _row(name, Verdict.SAME, "every counter is what it was")
    up = [move for move in moves if move.after > move.before]
    first, *others = up or moves
    more = f", and {len(others)} more" if others else ""
    reason = f"{first.name} {'rose' if up else 'fell'} from {first.before:,.10g} to {first.after:,.10g}{more}"
    return _row(name, Verdict.REGRESSED if up else Verdict.IMPROVED, reason, tuple(moves))


def _row(cell: str, verdict: Verdict, reason: str, moves: tuple[Move, ...] = ()) -> JudgedRow:
    return JudgedRow(cell=cell, measure="counters", verdict=verdict, reason=reason, moves=moves)
