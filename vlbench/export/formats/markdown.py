"""GitHub's Markdown: a comment on a pull request, or the summary of a job.

All text is escaped as HTML entities, which no rule of Markdown reads as markup: the pipes of a tower's name leave a
table whole, and a source line mentions nobody. What does not fit is left out as whole rows and sections, and said so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from vlbench.export import wording
from vlbench.export.registry import exporter
from vlbench.export.sheet import Column, Part, Sheet, Table, Words, shown_rows
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import number_of
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

_SIGNS = {
    Verdict.ACCEPTED: "\N{MEMO}",
    Verdict.IMPROVED: "\N{PARTY POPPER}",
    Verdict.FEWER: "\N{WHITE HEAVY CHECK MARK}",
    Verdict.SAME: "\N{WHITE HEAVY CHECK MARK}",
}
_FAILS, _WARNS = "\N{CROSS MARK}", "\N{WARNING SIGN}\N{VARIATION SELECTOR-16}"
ROOM_FOR_CUTS = 300
"""Bytes that what is said of cuts may take."""


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
    kept, _ = fitting(parts, limit - _size(head) - ROOM_FOR_CUTS)
    return "".join([head, *kept, cut_words(len(parts) - len(kept), "section")]) if _size(head) <= limit else ""


def _part(part: Part) -> str:
    if isinstance(part, Words) and part.style == "ansi":
        return "".join(["\n<pre>", *map(_line_of_code, part.text.splitlines()), "</pre>\n"])
    if isinstance(part, Words):
        text = "<br>".join(map(_text, part.text.splitlines()))
        return f"\n**{text}**\n" if text and part.style == "bold" else f"\n{text}\n" if text else ""
    if not isinstance(part, Table):
        return _judged(part, COMMENT).removeprefix(MARK)
    title = f"\n{_text(part.title)}\n" if part.title else ""
    more = f"\n{part.left_out}\n" if part.left_out else ""
    return "\n".join([title, _grid(part.heads, (map(_text, row) for row in shown_rows(part))), more])


def _grid(heads: Sequence[Column], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are Markdown."""
    names = "".join(f"| {_text(head.one_line)} ".replace("  ", " ") for head in heads)
    sides = "|".join(["---", *("---" if head.left else "--:" for head in heads[1:])])
    return "\n".join([f"{names}|", f"|{sides}|", *(f"| {' | '.join(row)} |" for row in rows)])


def _line_of_code(text: str) -> str:
    """Without the colours of a terminal."""
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)
    return f"{'&nbsp;' * (len(plain) - len(plain.lstrip()))}{markdown(plain, SENTENCES)}\n"


def _judged(judged: Judged, limit: int) -> str:
    rows = wording.ordered(judged)
    loud, quiet = ([row for row in rows if wording.is_quiet(row) is wanted] for wanted in (False, True))
    head = _head(judged)
    room = limit - _size(head) - ROOM_FOR_CUTS
    if room < 0:
        return head if _size(head) <= limit else ""
    parts = [head]
    if loud:
        table = [_loud(row, judged) for row in loud]
        table[0] = f"\n| | cell | what | why |\n|---|---|---|---|\n{table[0]}"
        kept, room = fitting(table, room)
        parts += [*kept, cut_words(len(table) - len(kept), "row")]
    asides = (*wording.asides(judged), wording.chance(judged))
    sections = [f"\n{_text(aside)}\n" for aside in asides if aside]
    sections += [_moved(row) for row in loud if row.moves]
    sections += [_same(quiet)] if quiet else []
    kept, room = fitting(sections, room)
    return "".join([*parts, *kept, cut_words(len(sections) - len(kept), "section")])


def _head(judged: Judged) -> str:
    sign = _SIGNS[Verdict.SAME] if not judged.finding else _FAILS
    lines = [
        MARK,
        *(f"**{first}**\n" for first in [wording.unenforced(judged)] if first),
        f"### {sign} vlbench {_text(judged.command)}: {wording.outcome(judged)}",
        "",
        f"{markdown_code(judged.before, SENTENCES)} \N{RIGHTWARDS ARROW} {markdown_code(judged.after, SENTENCES)}: "
        f"{wording.tally(judged)}; exit code {int(judged.exit_code)}{wording.took(judged)}.",
    ]
    if judged.remedy and judged.finding:
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
    heads = [Column(""), Column("before"), Column("after"), Column("stage", left=True)]
    shown = len(heads) if any(move.stage for move in moves) else len(heads) - 1
    rows = (
        (_text(wording.move_name(move)), *wording.pair(move.before, move.after, move.unit), _text(move.stage))
        for move in moves
    )
    return _grid(heads[:shown], (row[:shown] for row in rows))


def _line(move: Move) -> str:
    what, source = wording.line_in_words(move)
    where = f"{markdown_code(wording.place(move))} " if move.file else ""
    advice = f"<br>{_text(move.advice)}" if move.advice else ""
    return f"- {where}{_text(what)}: {markdown_code(source)}{advice}"


def _same(rows: Sequence[JudgedRow]) -> str:
    """The rows that are the same, folded."""
    heading = f"{len(rows)} {'rows are' if len(rows) > 1 else 'row is'} the same"
    heads = [Column("cell"), Column("what", left=True), Column("change %"), Column("detectable")]
    table = _grid(
        heads,
        (
            (markdown_code(row.cell), row.measure, wording.change_with_interval(row), wording.detectable(row))
            for row in rows
        ),
    )
    return f"\n<details><summary>{heading}</summary>\n\n{table}\n\n</details>\n"


def fitting(parts: Sequence[str], room: int) -> tuple[list[str], int]:
    """The first of `parts` that fit into `room` bytes, each of the others left out as a whole; what room is left."""
    kept = []
    for part in parts:
        if _size(part) > room:
            break
        kept.append(part)
        room -= _size(part)
    return kept, room


def cut_words(left_out: int, what: str) -> str:
    """What to say of parts that were left out; "" where none was."""
    if not left_out:
        return ""
    return f"\n{number_of(left_out, what)} left out here for want of room; --json has all.\n"


def _size(text: str) -> int:
    return len(text.encode())


def _text(text: str) -> str:
    return markdown(text, SENTENCES)
