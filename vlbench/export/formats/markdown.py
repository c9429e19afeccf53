"""GitHub's Markdown: a comment on a pull request, or the summary of a job.

All text is escaped as HTML entities, which no rule of Markdown reads as markup: the pipes of a tower's name leave a
table whole, and a source line mentions nobody. What does not fit is left out as whole rows and sections, and said so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vlbench.export import wording
from vlbench.export.registry import exporter
from vlbench.export.sheet import Part, Sheet, Table, Words, shown_rows
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import percent
from vlbench.untrusted.names import markdown, markdown_code

if TYPE_CHECKING:
    from vlbench.judging.judged import Judged, JudgedRow, Move

MARK = "<!-- vlbench -->"
"""The first line, by which a bot finds its own comment."""
COMMENT = 32_000
"""Bytes. GitHub takes 65,536 characters, and two comparisons may share a comment."""
STEP_SUMMARY = 1024 * 1024
"""Bytes that GitHub takes of a step's summary; of more it shows nothing."""
SENTENCES = 500
"""Characters of a reason, note or remedy that are shown."""

_SIGNS = {Verdict.IMPROVED: "\N{PARTY POPPER}", Verdict.SAME: "\N{WHITE HEAVY CHECK MARK}"}
_FAILS, _WARNS = "\N{CROSS MARK}", "\N{WARNING SIGN}\N{VARIATION SELECTOR-16}"
_ROOM_FOR_CUTS = 300


@exporter(
    "markdown",
    "Write a comment for a pull request here.",
    comparison="a comment for a pull request, under 32,000 bytes; its first line, `<!-- vlbench -->`, lets a bot find "
    "its own",
    tables="the tables and the words around them; of `self-test` the page of the documentation",
)
def markdown_text(sheet: Sheet, limit: int = COMMENT) -> str:
    """All that fits into `limit` bytes of UTF-8; "" where not even the heading does."""
    if sheet.judged is not None and not sheet.parts:
        return _judged(sheet.judged, limit)
    head = f"{MARK}\n### {_text(sheet.title)}\n"
    parts = [text for part in sheet.parts if (text := _part(part))]
    kept, _ = _fitting(parts, limit - _size(head) - _ROOM_FOR_CUTS)
    return "".join([head, *kept, _cut(len(parts) - len(kept), "section")]) if _size(head) <= limit else ""


def _part(part: Part) -> str:
    if isinstance(part, Words) and part.style == "ansi":
        return "".join(["\n<pre>", *map(_line_of_code, part.text.splitlines()), "</pre>\n"])
    if isinstance(part, Words):
        text = "<br>".join(map(_text, part.text.splitlines()))
        return f"\n**{text}**\n" if text and part.style == "bold" else f"\n{text}\n" if text else ""
    if not isinstance(part, Table):
        return _judged(part, COMMENT).removeprefix(MARK)
    title = f"\n{_text(part.title)}\n" if part.title else ""
    sides = ["---", *("---" if column.left else "--:" for column in part.heads[1:])]
    rows = [[column.one_line for column in part.heads], *shown_rows(part)]
    first, *others = [f"| {' | '.join(map(_text, row))} |" for row in rows]
    more = f"\n{part.left_out}\n" if part.left_out else ""
    return "\n".join([title, first, f"|{'|'.join(sides)}|", *others, more])


def _line_of_code(text: str) -> str:
    """Without the colours of a terminal."""
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)
    return f"{'&nbsp;' * (len(plain) - len(plain.lstrip()))}{markdown(plain, SENTENCES)}\n"


def _judged(judged: Judged, limit: int) -> str:
    rows = wording.ordered(judged)
    loud, quiet = ([row for row in rows if wording.is_quiet(row) is wanted] for wanted in (False, True))
    head = _head(judged)
    room = limit - _size(head) - _ROOM_FOR_CUTS
    if room < 0:
        return head if _size(head) <= limit else ""
    parts = [head]
    if loud:
        table = [_loud(row, judged) for row in loud]
        table[0] = f"\n| | cell | what | why |\n|---|---|---|---|\n{table[0]}"
        kept, room = _fitting(table, room)
        parts += [*kept, _cut(len(table) - len(kept), "row")]
    sections = [
        f"\n{_text(words)}\n"
        for words in (*(f"Note: {note}" for note in judged.notes), wording.chance(judged))
        if words
    ]
    sections += [_moved(row) for row in loud if row.moves]
    sections += [_same(quiet)] if quiet else []
    kept, room = _fitting(sections, room)
    return "".join([*parts, *kept, _cut(len(sections) - len(kept), "section")])


def _head(judged: Judged) -> str:
    sign = _SIGNS[Verdict.SAME] if not judged.exit_code else _FAILS
    lines = [
        MARK,
        f"### {sign} vlbench {_text(judged.command)}: {wording.outcome(judged)}",
        "",
        f"{markdown_code(judged.before, SENTENCES)} \N{RIGHTWARDS ARROW} {markdown_code(judged.after, SENTENCES)}: "
        f"{wording.tally(judged)}; exit code {int(judged.exit_code)}{wording.took(judged)}.",
    ]
    if judged.remedy and judged.exit_code:
        lines += ["", f"**What to do:** {_text(judged.remedy)}"]
    if judged.written:
        lines += ["", f"The new figures, ready to be accepted, are in {markdown_code(judged.written)}."]
    return "\n".join(lines) + "\n"


def _loud(row: JudgedRow, judged: Judged) -> str:
    """A line of the table of rows that have something to tell."""
    sign = _SIGNS.get(row.verdict, _FAILS if wording.fails(row, judged) else _WARNS)
    silent = "" if row.gates else " (no say)"
    why = "<br>".join(_text(words) for words in (row.reason, wording.figures(row)) if words)
    return f"| {sign} {row.verdict}{silent} | {markdown_code(row.cell)} | {row.measure} | {why} |\n"


def _moved(row: JudgedRow) -> str:
    """What moved in one row, folded."""
    parts = [f"<details><summary>What moved in {markdown_code(row.cell)}, {row.measure}</summary>"]
    for kinds in wording.GROUPS:
        moves, more = wording.moves_shown(row, *kinds)
        if kinds == ("line",):
            parts.append("\n".join(map(_line, moves)))
        elif moves:
            parts.append(_moves(moves))
        parts.append(_text(more))
    return "\n" + "\n\n".join([*filter(None, parts), "</details>"]) + "\n"


def _moves(moves: Sequence[Move]) -> str:
    """A table; with stages where any is known."""
    staged = any(move.stage for move in moves)
    lines = (
        ["| | before | after | stage |", "|---|--:|--:|---|"] if staged else ["| | before | after |", "|---|--:|--:|"]
    )
    for move in moves:
        before, after = wording.pair(move.before, move.after, move.unit)
        stage = f" {_text(move.stage)} |" if staged else ""
        lines.append(f"| {_text(wording.spelt(move))} | {before} | {after} |{stage}")
    return "\n".join(lines)


def _line(move: Move) -> str:
    what, source = wording.line_in_words(move)
    where = f"{markdown_code(wording.place(move))} " if move.file else ""
    advice = f"<br>{_text(move.advice)}" if move.advice else ""
    return f"- {where}{_text(what)}: {markdown_code(source)}{advice}"


def _same(rows: Sequence[JudgedRow]) -> str:
    """The rows that are the same, folded."""
    heading = f"{len(rows)} {'rows are' if len(rows) > 1 else 'row is'} the same"
    return "\n".join(
        [
            f"\n<details><summary>{heading}</summary>\n",
            "| cell | what | change % | detectable |\n|---|---|--:|--:|",
            *(
                f"| {markdown_code(row.cell)} | {row.measure} | {wording.change_with_interval(row)} | "
                f"{'' if row.visible is None else percent(row.visible)} |"
                for row in rows
            ),
            "\n</details>\n",
        ]
    )


def _fitting(parts: Sequence[str], room: int) -> tuple[list[str], int]:
    """The first of `parts` that fit into `room` bytes, each of the others left out as a whole; what room is left."""
    kept = []
    for part in parts:
        if _size(part) > room:
            break
        kept.append(part)
        room -= _size(part)
    return kept, room


def _cut(left_out: int, what: str) -> str:
    if not left_out:
        return ""
    return f"\n{left_out} {what}{'s' * (left_out > 1)} left out here for want of room; --json has all.\n"


def _size(text: str) -> int:
    return len(text.encode())


def _text(text: str) -> str:
    return markdown(text, SENTENCES)
