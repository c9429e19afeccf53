"""What a release of a package changed in its towers, as Markdown for the page of the atlas."""

import re
from collections.abc import Iterator

from vlbench.judging.judged import JudgedRow, Move
from vlbench.judging.verdict import Verdict
from vlbench.record.atlas import Atlas
from vlbench.record.grouping import gathered
from vlbench.surveying.difference import differences
from vlbench.untrusted.names import LONGEST, markdown, markdown_code

SHOWN = 6
"""Lines of code that a row names."""


def changes_table(before: Atlas, after: Atlas) -> str:
    """A row for each way of each tower that is not as it was, alike ones in one, and towers that came.

    Raises IncomparableError where the two were counted under other conditions.
    """
    step = differences(before, after)
    moved = [row for row in step.rows if row.moves or row.verdict is not Verdict.SAME]
    head = f"**{before.title} to {after.version}**: {len(moved)} of {len(step.rows)} ways are not as they were."
    alike = gathered(((_counters(row), _lines(row)), _cell(row.cell)) for row in moved)
    rows = [f"| {'; '.join(cells)} | {counters} | {lines} |" for (counters, lines), cells in alike.items()]
    table = ["| tower, way | what moved | lines that came or went |", "|---|---|---|", *rows] if rows else []
    return "\n".join([head, "", *table, *([""] if table else []), *_towers(before, after)]).strip()


def _cell(cell: str) -> str:
    name, _, way = cell.partition(", ")
    return f"{_code(name)}, {way}" if way else _code(name)


def _code(text: str) -> str:
    """As code: between backticks where nothing in it would end that, or the cell of a table."""
    return markdown_code(text) if re.search(r"[`|\\]|[^ -~]", text) or len(text) > LONGEST else f"`{text}`"


def _counters(row: JudgedRow) -> str:
    if row.verdict is Verdict.MISSING:
        return f"not counted any more: {markdown(row.reason)}"
    counters = [each for each in row.moves if each.kind == "counter"]
    return ", ".join(f"{each.name} {each.before:,.0f} to {each.after:,.0f}" for each in counters) or "no counter"


def _lines(row: JudgedRow) -> str:
    lines = [_line(each) for each in row.moves if each.kind == "line"]
    more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "<br>".join([*lines[:SHOWN], *more]) or "-"


def _line(move: Move) -> str:
    file = (move.file or "").rpartition("/")[2]
    source = _code(move.name.partition(": ")[2])
    told = f"{move.before:.0f}x" if not move.after else f"{move.after:.0f}x"
    if move.before and move.after:
        return f"moved, {move.before:.0f}x to {move.after:.0f}x: {file}:{move.line} {source}"
    return f"{'came' if move.after else 'gone'}, {told}: {file}:{move.line} {source}"


def _towers(before: Atlas, after: Atlas) -> Iterator[str]:
    """Those that came and could be counted."""
    old, new = ({row.name: row for row in each.rows if row.counted} for each in (before, after))
    if came := [f"`{name}`" for name in new if name not in old]:
        yield f"New in {after.version}: {', '.join(came)}."
