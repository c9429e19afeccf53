"""The report in short, as GitHub's Markdown for a pull request: its text in lines of 80 columns, its tables whole."""

from collections.abc import Iterable, Iterator
from textwrap import wrap

from vlbench.export.formats.markdown import ROOM_FOR_CUTS, SENTENCES, cut_words, fitting
from vlbench.export.sheet import Table, shown
from vlbench.reporting.page import Answer, Chapter, Report, one_line
from vlbench.untrusted.names import line, markdown

COLUMNS = 80
"""Of text. Headings and tables have no such width: a page shows them as wide as they are."""
ROWS = 30
"""Of a table that are shown; the page has all."""
MOST = 65_536
"""Characters that GitHub takes of a comment; here bytes, of which no text has fewer."""
MARK = "<!-- vlbench report -->"
"""The first line, by which a bot finds its own comment."""


def markdown_text(report: Report) -> str:
    """The answers, the warnings, the tables that matter, and what was not measured; as much as fits into a comment."""
    first = ["\n".join([MARK, f"### {markdown(report.title, SENTENCES)}"])]
    first += ["\n".join(_answer(each)) for each in report.answers]
    first += ["\n".join(["", *(part for told in report.warnings for part in _wrapped(f"Warning: {told}"))])]
    lacks = [section for chapter in report.chapters if not chapter.source for section in chapter.sections]
    last = ["\n".join(_lacking(block)) for each in lacks for block in each.blocks if isinstance(block, Table)]
    tables = ["\n".join(_brief(chapter, table)) for chapter in report.chapters for table in chapter.brief]
    kept, room = fitting([f"{each}\n" for each in (*first, *last)], MOST - ROOM_FOR_CUTS)
    between, _ = fitting([f"{each}\n" for each in tables], room)
    told = cut_words(len(first) + len(last) + len(tables) - len(kept) - len(between), "section")
    return "".join([*kept[: len(first)], *between, *kept[len(first) :], told])


def _answer(answer: Answer) -> Iterator[str]:
    yield from ("", f"#### {markdown(answer.where, SENTENCES)}")
    for tile in answer.tiles:
        yield from _wrapped(f"{tile.question}: {tile.answer.shown}; {tile.told}")
    if answer.flags:
        yield from _wrapped(f"Switch on: {', '.join(answer.flags)}")


def _brief(chapter: Chapter, table: Table) -> Iterator[str]:
    yield ""
    if table is chapter.brief[0]:
        yield from (f"#### {markdown(chapter.title, SENTENCES)}", "")
    if cell := table.facts.get("cell"):
        yield from (*_wrapped(" on ".join(filter(None, (str(cell), str(table.facts["machine"])))), ""), "")
    yield from _table(table)


def _lacking(table: Table) -> Iterator[str]:
    told = list(dict.fromkeys(": ".join(shown(each) for each in row[1:]) for row in table.rows))
    yield from ("", "#### Not measured", "")
    for text in told[:ROWS]:
        yield from _wrapped(text)
    if len(told) > ROWS:
        yield f"- and {len(told) - ROWS} more, which are in the page"


def _wrapped(text: str, bullet: str = "- ") -> Iterator[str]:
    """A paragraph over several lines."""
    for at, part in enumerate(wrap(line(text, 10_000), COLUMNS - len(bullet), break_on_hyphens=False)):
        yield (" " * len(bullet) if at else bullet) + markdown(part)


def _table(table: Table) -> Iterator[str]:
    yield _row(column.one_line for column in table.heads)
    yield f"| {' | '.join('---' if at == 0 or each.left else '--:' for at, each in enumerate(table.heads))} |"
    yield from (_row(one_line(shown(each)) for each in row) for row in table.rows[:ROWS])
    if (more := len(table.rows) - ROWS) > 0:
        yield f"\n{more} rows more are in the page."


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(markdown(each, SENTENCES) for each in cells)} |"
