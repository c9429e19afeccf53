"""What every format says of a comparison: the outcome, the order of its rows, and its figures in words."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from vlbench.judging.exit_codes import FAILURES, ExitCode
from vlbench.judging.verdict import NO_WORSE, Verdict
from vlbench.judging.vote import expected_false_rows
from vlbench.judging.words import change, counter_name, in_digits, number_of, percent, readable_bytes, signed, time_of
from vlbench.untrusted.names import line

if TYPE_CHECKING:
    from vlbench.judging.judged import Judged, JudgedRow, Move

ORDER = (Verdict.ACCEPTED, *FAILURES, *NO_WORSE)
"""Of rows: what somebody let pass, then what fails, by the precedence of exit codes."""

OUTCOMES = {
    ExitCode.OK: "passed",
    ExitCode.INACCURATE: "inaccurate",
    ExitCode.MISSING: "missing or not comparable",
    ExitCode.REGRESSED: "regressed",
    ExitCode.INCONCLUSIVE: "inconclusive",
}
OTHERWISE = " of calls side by side, where the medians of all calls lie the other way round"
PAIRED = ", paired"
"""The change is that of calls side by side, and the medians of all calls come to another."""
DETECTABLE = "smallest change that a row would have called in four cases of five"
"""What is below every table with a column of it, and in `vlbench explain detectable`."""
MOST = {"counter": 20, "stage": 8, "operation": 6, "line": 8}
"""Moves of a kind that are shown of a row; JSON and CSV have all."""
GROUPS = (("counter", "stage"), ("line",), ("operation",))
"""Kinds of moves that are shown together, in this order: what moved, where, and in which operations."""


def outcome(judged: Judged) -> str:
    """The verdict on the whole in a word or two."""
    if not judged.rows:
        return "nothing was compared"
    if not any(row.gates for row in judged.rows):
        return "nothing was compared that may gate"
    return OUTCOMES[judged.finding] + ("" if judged.enforced else ", not enforced")


def unenforced(judged: Judged) -> str:
    """The first sentence of a report that fails nothing; "" of any other."""
    if judged.enforced:
        return ""
    code = int(judged.finding)
    return f"Nothing is enforced, for this is a report only: enforced, it would end with exit code {code}."


def tally(judged: Judged) -> str:
    """Such as "2 regressed, 14 same", and how many of them have no say."""
    counts = Counter(row.verdict for row in judged.rows)
    allowed = {Verdict.INCONCLUSIVE: ", which is allowed"} if judged.allow_inconclusive else {}
    words = [f"{counts[verdict]:,} {verdict}{allowed.get(verdict, '')}" for verdict in ORDER if counts[verdict]]
    silent = sum(not row.gates for row in judged.rows)
    aside = f" ({silent} of them without a say)" if silent else ""
    return f"{', '.join(words)}{aside}" if words else "no rows"


def took(judged: Judged) -> str:
    """How long it took; "" where nobody measured that."""
    return f", after {judged.seconds:.1f} s" if judged.seconds else ""


def fails(row: JudgedRow, judged: Judged) -> bool:
    """Does this row keep the exit code from being 0?"""
    allowed = judged.allow_inconclusive and row.verdict is Verdict.INCONCLUSIVE
    return judged.enforced and row.gates and row.verdict in FAILURES and not allowed


def ordered(judged: Judged) -> list[JudgedRow]:
    """What was accepted, then what fails, failures without a say, what is better, and what is the same."""
    return sorted(
        judged.rows,
        key=lambda row: (
            row.verdict is not Verdict.ACCEPTED,
            row.verdict in NO_WORSE,
            not fails(row, judged),
            ORDER.index(row.verdict),
        ),
    )


def is_quiet(row: JudgedRow) -> bool:
    """Nothing to tell: the same, and nothing moved even within a band."""
    return row.verdict is Verdict.SAME and not row.moves


def false_rows(judged: Judged) -> float | None:
    """How many times would be called by chance alone, of those that a vote judged; None where it is not measured."""
    return None if judged.false_alarms is None else expected_false_rows(_voted(judged), judged.false_alarms)


def chance(judged: Judged) -> str:
    """The sentence about that, and what `detectable` means; "" where no vote was taken."""
    if not (times := _voted(judged)):
        return ""
    meaning = f"'detectable' is the {DETECTABLE}."
    if (called := false_rows(judged)) is None:
        return meaning
    what = "figures" if any(row.measure == "metric" for row in judged.rows) else "times"
    return f"By chance alone, {in_digits(called, 2)} of {times:,} {what} would be called; {meaning}"


def asides(judged: Judged) -> list[str]:
    """What is said below the rows: notes, and counters that nothing was held against."""
    counted = Counter(name for row in judged.rows for name in row.new)
    named = ", ".join(
        f"{line(name.replace('_', ' '))} (in {number_of(count, 'cell')})" for name, count in counted.items()
    )
    unknown = [f"New counters, which were not judged: {named}"] if named else []
    return [*(f"Note: {note}" for note in judged.notes), *unknown]


def figures(row: JudgedRow) -> str:
    """The figures of a row in one line, "" where it has none."""
    words = []
    if row.before is not None and row.after is not None:
        words.append("{} -> {}".format(*pair(row.before, row.after, row.unit)))
    if row.ratio is not None:
        words.append(change_with_interval(row) + (OTHERWISE if _medians_differ(row) else PAIRED * _is_apart(row)))
    if row.visible is not None:
        words.append(f"detectable {detectable(row)}")
    return ", ".join(words)


def _medians_differ(row: JudgedRow) -> bool:
    """Do the two times lie the other way round than their ratio, which is that of neighbouring calls?"""
    if row.unit != "s" or row.before is None or row.after is None or row.ratio is None:
        return False
    return (row.after - row.before) * (row.ratio - 1) < 0


def _is_apart(row: JudgedRow) -> bool:
    """Do the two times read as another change than their ratio, which is that of neighbouring calls?"""
    if not row.paired or not row.before or row.after is None or row.ratio is None:
        return False
    return change(row.after / row.before) != change(row.ratio)


def detectable(row: JudgedRow) -> str:
    """`DETECTABLE` in words, "" where that is not known."""
    return "" if row.visible is None else percent(row.visible)


def change_with_interval(row: JudgedRow) -> str:
    """Such as "+8.9 % [+7.1, +10.2] at 94 %", of the figure and not of its cost; "" without a ratio."""
    if row.ratio is None:
        return ""
    measured = measured_change(row)
    if measured is None:
        return change(row.ratio if row.better == "lower" else 1 / row.ratio)
    ratio, low, high = measured
    if low == high:
        return change(ratio)
    sure = "" if row.confidence is None else f" at {100 * row.confidence:.0f} %"
    return f"{change(ratio)} [{signed(low)}, {signed(high)}]{sure}"


def measured_change(row: JudgedRow) -> tuple[float, float, float] | None:
    """After / before of the figure itself, with its interval: a rate that rises is above 1, though its cost fell."""
    if row.ratio is None or row.low is None or row.high is None:
        return None
    return (row.ratio, row.low, row.high) if row.better == "lower" else (1 / row.ratio, 1 / row.high, 1 / row.low)


def pair(before: float, after: float, unit: str) -> tuple[str, str]:
    """Two figures beside each other; bytes are written out where rounding would hide that they differ."""
    if time := time_of(before, unit):
        return time, time_of(after, unit)
    if unit == "B" and (before == after or readable_bytes(before) != readable_bytes(after)):
        return readable_bytes(before), readable_bytes(after)
    suffix = f" {unit}" if unit else ""
    return f"{_number(before)}{suffix}", f"{_number(after)}{suffix}"


def moves_shown(row: JudgedRow, *kinds: str) -> tuple[list[Move], str]:
    """The moves of these kinds that are shown, and a sentence about the others, "" where there are none."""
    found: list[Move] = []
    left = []
    for kind in kinds:
        moves = [move for move in row.moves if move.kind == kind]
        found += moves[: MOST[kind]]
        if (more := len(moves) - MOST[kind]) > 0:
            left.append(f"{number_of(more, kind)} more")
    return found, f"and {', '.join(left)} (--json)" if left else ""


def move_in_words(move: Move) -> str:
    """A move in one line, such as "host syncs 4 -> 36 (block.attention)"."""
    where = f"{place(move)} " if move.file else ""
    stage = f" ({move.stage})" if move.stage else ""
    before, after = pair(move.before, move.after, move.unit)
    return f"{where}{move_name(move)} {before} -> {after}{stage}"


def line_in_words(move: Move) -> tuple[str, str]:
    """What a line does and how often, such as "read-back 0 -> 32", and its source."""
    event, _, source = move.name.partition(": ")
    before, after = pair(move.before, move.after, move.unit)
    return f"{line(event)} {before} -> {after}", line(source)


def move_name(move: Move) -> str:
    """The name of what moved, as people write it, in one line."""
    return line(counter_name(move.name) if move.kind == "counter" else move.name)


def place(move: Move) -> str:
    """`file:line` of a line, "" where it has no file."""
    if move.file is None:
        return ""
    return line(move.file if move.line is None else f"{move.file}:{move.line}")


def _voted(judged: Judged) -> int:
    return sum(row.measure in ("time", "metric") and row.visible is not None for row in judged.rows)


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else in_digits(value)
