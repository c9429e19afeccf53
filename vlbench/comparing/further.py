"""Further calls of two counts, and how they change the verdict on a cell."""

from __future__ import annotations

from collections.abc import Iterator

from vlbench.judging.judged import JudgedRow, Move
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import counter_name
from vlbench.record.counted import Further


def with_further(row: JudgedRow, before: Further | None, after: Further | None) -> JudgedRow:
    """`row` with what moved in further calls: a rise is a regression, whatever fell elsewhere.

    So is a call that no longer counts as others like it, and bytes that stay alive. What an earlier vlbench did not
    count is not judged.
    """
    if before is None or row.verdict is Verdict.MISSING:
        return row
    if after is None:
        return JudgedRow.missing(row.cell, "counters", "its further calls were not counted")
    if lost := next((name for name in before.calls if name not in after.calls), None):
        reason = after.failed.get(lost, "it was not counted")
        return JudgedRow.missing(row.cell, "counters", f"{lost} on a small grid: {reason}")
    moves = list(_moves(before, after))
    rose = [move for move in moves if move.after > move.before]
    odd = [name for name in after.uneven if name not in before.uneven]
    told = [f"calls that are alike do not count alike: {', '.join(odd)}"] if odd else []
    told += [f"{move.name} rose from {move.before:,.0f} to {move.after:,.0f}" for move in rose[:1]]
    fell = [move for move in moves if move.after < move.before]
    verdict = row.verdict
    if told:
        verdict = Verdict.REGRESSED
    elif fell and verdict is Verdict.SAME:
        verdict = Verdict.IMPROVED
        told = [f"{fell[0].name} fell from {fell[0].before:,.0f} to {fell[0].after:,.0f}"]
    if not told:
        return row
    parts = [row.reason, *told] if row.verdict is Verdict.REGRESSED else [*told, row.reason]
    reason = "; ".join(parts)
    return row.model_copy(update={"verdict": verdict, "reason": reason, "moves": (*row.moves, *moves)})


def _moves(before: Further, after: Further) -> Iterator[Move]:
    if before.kept_bytes != after.kept_bytes:
        name = "bytes kept after calls on new grids"
        yield Move(kind="counter", name=name, before=before.kept_bytes, after=after.kept_bytes, unit="B")
    for call, counts in before.calls.items():
        for counter, old in counts.items():
            if (new := after.calls[call].get(counter, old)) != old:
                name = f"{counter_name(counter)} ({call}, small grid)"
                yield Move(kind="counter", name=name, before=old, after=new)
