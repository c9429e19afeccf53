"""Two exact counts of one cell, and the verdict on them.

In each counter less is better. A rise beyond its band is a regression whatever else fell, since a sync is not paid for
by fewer operations; the row shows both. Stages, lines and operations explain a move and are not judged by themselves,
so that code may move about freely.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from vlbench.comparing.counted_moves import COUNTERS, Advice, Shift, is_first, line_moves, operation_moves, shifts
from vlbench.comparing.further import with_further
from vlbench.judging.judged import JudgedRow, Move
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import counter_name, number_of
from vlbench.record.baseline import CountedCell
from vlbench.record.counts import Key

BACKENDS = {"cudnn": 0, "flash": 0, "efficient": 1, "math": 2}
PRECISIONS = {"bfloat16": 0, "float16": 0, "float32": 1, "float64": 2}
"""Both from cheap to dear: equal counts cost more where the rank is higher."""
NEWER = frozenset({"allowed_syncs", "attention_plans"})
"""Counters that are newer than the first files."""
FIRST = COUNTERS.keys() - NEWER
PLANS = "attention_plans"
SHOWN = 3
"""Lines that a reason names; the rows have them all."""
REBASE = "`vlbench baseline rebase FILE` counts it again"
NONE = ["none"]
"""There was no such operation."""


def judge_cells(before: CountedCell, after: CountedCell, advice: Advice | None = None) -> JudgedRow:
    """The row of a cell that was counted again; `before` says by how much each counter may differ.

    `advice` says what removes lines of `after`. Counts that do not compare give a row that is missing.
    """
    if reason := why_not(before, after):
        return JudgedRow.missing(before.name, "counters", reason)
    found = shifts(before, after)
    rises = [each for each in found if each.direction(before.bands.get(each.counter, 0.0)) > 0]
    falls = [each for each in found if each.direction(before.bands.get(each.counter, 0.0)) < 0]
    dearer, cheaper = (list(_ways(before, after, direction)) for direction in (1, -1))
    lines = line_moves(before, after, advice or {}) if found else []
    if rises or dearer:
        verdict, sentence = (
            Verdict.REGRESSED,
            "; ".join([*_went("rose", rises, lines), *dearer, *_went("fell", falls), *cheaper]),
        )
    elif falls or cheaper:
        verdict, sentence = Verdict.IMPROVED, "; ".join([*_went("fell", falls), *cheaper, "nothing rose"])
    else:
        verdict, sentence = Verdict.SAME, _unmoved(found, len(before.warm.counters))
    if new := newer(before, after):
        sentence += (
            f"; new and not judged: {', '.join(f'{counter_name(each)} {after.warm.counters[each]:,}' for each in new)}"
        )
    explained = any(each.adds_attention for each in found) or any(each.advice for each in lines)
    operations = operation_moves(before, after, advise=not explained) if found else ()
    moves = (*(each.move for each in found), *lines, *operations)
    row = JudgedRow(cell=before.name, measure="counters", verdict=verdict, reason=sentence, moves=moves, new=tuple(new))
    return with_further(row, before.further, after.further)


def why_not(before: CountedCell, after: CountedCell) -> str | None:
    """Why two counts do not compare, None where they do. What belongs to the tower is no reason."""
    if before.grids != after.grids:
        return "the two were counted on different grids"
    for field, words in {"torch_version": "torch", "mode": "mode", "profile": "profile"}.items():
        a, b = getattr(before.key, field), getattr(after.key, field)
        if a != b:
            return f"it was counted with {words} {a}, and this is {words} {b}: such counts do not compare"
    if before.key.platform != after.key.platform:
        a, b = (key.platform or "GPU" for key in (before.key, after.key))
        return f"it was counted in its code for a {a}, and this is code for a {b}: such counts do not compare"
    if before.key.cudnn != after.key.cudnn and (reason := _why_not_attention(before.key, after.key)):
        return reason
    for old, new in ((before.cold, after.cold), (before.warm, after.warm)):
        odd = (old.counters.keys() - new.counters.keys()) | (new.counters.keys() - COUNTERS.keys())
        needed = FIRST | {PLANS} if before.key.cudnn else FIRST  # who names a cuDNN has counted its plans
        if odd := odd | (needed - old.counters.keys()):
            return f"the counter {min(odd)} is known to one side alone"
    return None


def _why_not_attention(before: Key, after: Key) -> str | None:
    """Counts from before cuDNN made a difference compare where it makes none."""
    known = [key.cudnn for key in (before, after) if key.cudnn]
    if not any("cudnn" in key.attention_backend.split("+") for key in (before, after)):
        return None
    if len(known) == 2:
        return f"it was counted with cuDNN {known[0]}, and this is cuDNN {known[1]}: such counts do not compare"
    return f"one side was counted when cuDNN's attention was not known, and the other is cuDNN {known[0]}; {REBASE}"


def newer(before: CountedCell, after: CountedCell) -> list[str]:
    """Counters that were not there when `before` was counted: shown, and not judged."""
    return [name for name in COUNTERS if name not in before.warm.counters and name in after.warm.counters]


def _ways(before: CountedCell, after: CountedCell, direction: int) -> Iterator[str]:
    """Backends and precisions that make equal counts dearer (1) or cheaper (-1)."""
    for what, field, ranks in (
        ("attention runs", "attention_backend", BACKENDS),
        ("matrix products and attention run", "dtype", PRECISIONS),
    ):
        a, b = (getattr(cell.key, field).split("+") for cell in (before, after))
        if a != NONE != b and direction * (_dearest(b, ranks) - _dearest(a, ranks)) > 0:
            yield f"{what} in {' and '.join(b)}, where it was {' and '.join(a)}"


def _dearest(names: Sequence[str], ranks: Mapping[str, int]) -> int:
    return max(ranks.get(name, len(ranks)) for name in names)


def _went(verb: str, moved: Sequence[Shift], lines: Sequence[Move] = ()) -> Iterator[str]:
    """The most important of the counters that went one way, with its place, and the names of the others."""
    if moved:
        first = moved[0]
        yield f"{_words(first)} {verb} from {first.before:,} to {first.after:,}{_place(first, lines)}"
    if others := [_words(each) for each in moved[1:]]:
        yield f"so did {', '.join(others)}"


def _words(shift: Shift) -> str:
    return counter_name(shift.counter) + (" of the first forward" if shift.first else "")


def _place(shift: Shift, lines: Sequence[Move]) -> str:
    """The stage, and the lines that can be why, with the share of each where there are several."""
    events = COUNTERS[shift.counter]
    rising = [move for move in lines if move.after > move.before and move.name.startswith(events) and move.file]
    same = [move for move in rising if is_first(move) is shift.first] or rising
    places: Counter[tuple[str | None, int | None]] = Counter()
    for move in same:
        places[move.file, move.line] += int(move.after - move.before)
    words, last = [], None
    for (file, line), times in places.most_common(SHOWN):
        share = f" ({times:,})" if len(places) > 1 and not shift.counter.endswith("bytes") else ""
        words.append(f"{'' if file == last else file}:{line}{share}")
        last = file
    if more := len(places) - len(words):
        words.append(number_of(more, "more line"))
    at = " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
    return (f" in {shift.stage}" if shift.stage else "") + (f", at {at}" if at else "")


def _unmoved(within: Sequence[Shift], judged: int) -> str:
    if not within:
        return f"all {judged} counters of both forwards are equal"
    listed = ", ".join(f"{_words(each)} {each.before:,} -> {each.after:,}" for each in within)
    return f"what moved stayed within its band: {listed}"
