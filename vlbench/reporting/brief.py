"""The report in short, as GitHub's Markdown for a pull request: no line that people read is wider than 80 columns."""

from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap

from vlbench.export.formats.markdown import ROOM_FOR_CUTS, cut_words, fitting
from vlbench.export.sheet import Table, shown
from vlbench.reporting.page import Answer, Chapter, Report, one_line
from vlbench.untrusted.names import line, markdown

COLUMNS = 80
NARROWEST = 12
"""Columns that words keep while there are figures beside them."""
ROWS = 30
"""Of a table that are shown; the page has all."""
MOST = 65_536
"""Characters that GitHub takes of a comment; here bytes, of which no text has fewer."""
MARK = "<!-- vlbench report -->"
"""The first line, by which a bot finds its own comment."""


def markdown_text(report: Report) -> str:
    """The answers, the warnings, the tables that matter, and what was not measured; as much as fits into a comment."""
    first = ["\n".join([MARK, *_wrapped(f"### {report.title}", "")])]
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
    yield from ("", *_wrapped(f"#### {answer.where}", ""))
    for tile in answer.tiles:
        yield from _wrapped(f"{tile.question}: {tile.answer.shown}; {tile.told}")
    if answer.flags:
        yield from _wrapped(f"Switch on: {', '.join(answer.flags)}")


def _brief(chapter: Chapter, table: Table) -> Iterator[str]:
    yield ""
    if table is chapter.brief[0]:
        yield from (*_wrapped(f"#### {chapter.title}", ""), "")
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
    """A paragraph over several lines, or a heading cut to one."""
    begin, _, text = text.partition(" ") if text.startswith("#") else ("", "", text)
    if begin:
        yield f"{begin} {markdown(line(text, COLUMNS - 1 - len(begin)))}"
        return
    for at, part in enumerate(wrap(line(text, 10_000), COLUMNS - len(bullet), break_on_hyphens=False)):
        yield (" " * len(bullet) if at else bullet) + markdown(part)


def _table(table: Table) -> Iterator[str]:
    """What is too wide loses the ends of its longest names."""
    rows = [[line(one_line(shown(each))) for each in row] for row in table.rows[:ROWS]]
    heads = [line(column.one_line) for column in table.heads]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    words = [at for at, column in enumerate(table.heads) if at == 0 or column.left]
    while sum(widths) + 3 * len(widths) + 1 > COLUMNS:
        longest = max(words, key=lambda at: widths[at])  # figures are cut where no words are left to be
        widths[longest if widths[longest] > NARROWEST else widths.index(max(widths))] -= 1
    yield _row(heads, widths)
    yield _row(["---" if at == 0 or column.left else "--:" for at, column in enumerate(table.heads)], None)
    yield from (_row(row, widths) for row in rows)
    if (more := len(table.rows) - ROWS) > 0:
        yield f"\n{more} rows more are in the page."


def _row(cells: Iterable[str], widths: Sequence[int] | None) -> str:
    if widths is not None:
        cells = [markdown(line(each, most)) for each, most in zip(cells, widths, strict=True)]
    return f"| {' | '.join(cells)} |"
