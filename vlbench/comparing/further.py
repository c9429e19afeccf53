"""Further calls of two counts, and how they change the verdict on a cell."""

from collections.abc import Sequence

from vlbench.judging.judged import JudgedRow, Move
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import counter_name
from vlbench.record.counted import Further

Change = tuple[str, int, int]
"""A counter, before and after."""
_KEPT = "bytes kept after calls on new grids"


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
    found = in_calls(before, after)
    said = {(move.name, move.before, move.after) for move in row.moves if _told(row, move)}
    moves = [_move(before, each, calls) for each, calls in found.items() if each not in said]
    odd = [name for name in after.uneven if name not in before.uneven]
    told = [f"calls that are alike do not count alike: {', '.join(odd)}"] if odd else []
    told += [f"{move.name} rose from {move.before:,.0f} to {move.after:,.0f}" for move in moves if _rose(move)][:1]
    same = [(calls, each[0]) for each, calls in found.items() if each in said]
    if same and row.verdict is Verdict.REGRESSED:
        calls, name = max(same, key=lambda one: len(one[0]))
        told.insert(0, f"the same in {words(calls, calls_with(before, name))}")
    fell = [move for move in moves if move.after < move.before]
    verdict = row.verdict
    if told:
        verdict = Verdict.REGRESSED
    elif fell and verdict is Verdict.SAME:
        verdict = Verdict.IMPROVED
        told = [f"{fell[0].name} fell from {fell[0].before:,.0f} to {fell[0].after:,.0f}"]
    if not told:
        return _at_full_size_alone(row, before, after) if verdict is Verdict.IMPROVED else row
    first = row.verdict is Verdict.REGRESSED  # what the cell itself says comes before what small calls say
    reason = "; ".join([row.reason, *told] if first else [*told, row.reason])
    return row.model_copy(update={"verdict": verdict, "reason": reason, "moves": (*row.moves, *moves)})


def _at_full_size_alone(row: JudgedRow, before: Further, after: Further) -> JudgedRow:
    """Not better where a counter fell that fell in no further call: results are checked at small sizes only."""
    for move in row.moves:
        name = move.name.partition(" ")[0]
        calls = [
            (counts[name], after.calls[call].get(name, 0)) for call, counts in before.calls.items() if name in counts
        ]
        if move.kind == "counter" and move.after < move.before and calls and not any(b < a for a, b in calls):
            reason = (
                f"{counter_name(name)} fell at full size alone; results are checked at small sizes only; {row.reason}"
            )
            return row.model_copy(update={"verdict": Verdict.MISSING, "reason": reason})
    return row


def in_calls(before: Further, after: Further) -> dict[Change, list[str]]:
    """The calls in which a counter changed in one way, by counter, before and after. What is new is left out."""
    found: dict[Change, list[str]] = {}
    if before.kept_bytes != after.kept_bytes:
        found[_KEPT, before.kept_bytes, after.kept_bytes] = []
    for call, counts in before.calls.items():
        for counter, old in counts.items():
            if (new := after.calls.get(call, {}).get(counter, old)) != old:
                found.setdefault((counter, old, new), []).append(call)
    return found


def calls_with(further: Further, counter: str) -> int:
    """How many calls hold a counter."""
    return sum(counter in counts for counts in further.calls.values())


def words(calls: Sequence[str], total: int) -> str:
    """Such as "all 11 small calls"; a few are named."""
    if len(calls) == total > 1:
        return f"all {total} small calls"
    return f"{', '.join(calls)}, small grid" if len(calls) < 4 else f"{len(calls)} of {total} small calls"


def _move(further: Further, change: Change, calls: Sequence[str]) -> Move:
    name, before, after = change
    if name == _KEPT:
        return Move(kind="counter", name=name, before=before, after=after, unit="B")
    told = f"{counter_name(name)} ({words(calls, calls_with(further, name))})"
    return Move(kind="counter", name=told, before=before, after=after)


def _told(row: JudgedRow, move: Move) -> bool:
    """Does the verdict on the cell say as much already? A rise within its band is no part of it."""
    return row.verdict is Verdict.REGRESSED or (row.verdict is Verdict.IMPROVED and not _rose(move))


def _rose(move: Move) -> bool:
    return move.after > move.before
