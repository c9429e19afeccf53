"""A sheet on a terminal of 80 columns."""

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from textwrap import TextWrapper

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from vlbench.export.comparison import judged_parts
from vlbench.export.cutting import told_apart
from vlbench.export.sheet import Cell, Part, Sheet, Table, Words, shown, shown_rows

NARROWEST = 12
"""Characters that a column which is cut keeps."""
LONG = 40
"""Characters of a name that is whole on any terminal; a longer one goes on below. In a pipe all are whole."""
COMMAND = re.compile(r"`(?:vlbench|git|pip) [^`]*`|\S+://\S+")
HELD = "\ue000"
"""Stands for a blank at which no line ends: of private use, so that no word holds it."""


def view_of(sheet: Sheet) -> RenderableType:
    """All of it: a comparison by its verdicts, else the parts one below the other."""
    verdicts = [sheet.judged] if sheet.judged is not None else []
    return view(sheet.view or sheet.parts or verdicts)


def view(parts: Iterable[Part]) -> RenderableType:
    """Paragraphs and tables one below the other. Nothing in them is read as markup."""
    return Group(*(each for part in parts for each in _part(part)))


def _part(part: Part) -> Iterator[RenderableType]:
    if isinstance(part, Words):
        yield _words(part)
    elif isinstance(part, Table):
        yield from _table(part)
    else:
        yield view(judged_parts(part))


def _words(words: Words) -> RenderableType:
    if words.style == "ansi":
        return Text.from_ansi(words.text, no_wrap=True, overflow="ignore")
    text = Text(words.text, style=words.style)
    if words.styled:
        before, _, after = words.text.partition(words.styled)
        text = Text.assemble(before, (words.styled, words.style), after)
    if words.cut:
        text.no_wrap, text.overflow = True, "ellipsis"
    elif COMMAND.search(words.text):
        return _WithCommands(words)
    return _indented(text, words.indent)


@dataclass(frozen=True)
class _WithCommands:
    """A paragraph whose commands and addresses are parted nowhere, even where they are wider than the terminal."""

    words: Words

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        text = COMMAND.sub(lambda found: found[0].replace(" ", HELD), self.words.text)
        blanks = " " * self.words.indent
        fill = TextWrapper(options.max_width, initial_indent=blanks, subsequent_indent=blanks)
        fill.break_long_words = fill.break_on_hyphens = False
        for line in (each for paragraph in text.splitlines() for each in fill.wrap(paragraph) or [""]):
            yield Text(line.replace(HELD, " "), style=self.words.style, no_wrap=True, overflow="ignore")


def _table(table: Table) -> Iterator[RenderableType]:
    if table.title:
        yield Text(table.title, style="dim")
    if table.lines is not None:
        yield from map(_words, table.lines)
    else:
        yield _Grid(table)
    if table.left_out:
        yield Text(table.left_out, style="dim")


def _indented(part: RenderableType, columns: int) -> RenderableType:
    return Padding(part, (0, 0, 0, columns), expand=False) if columns else part


@dataclass(frozen=True)
class _Grid:
    """The first column on the left, others on the right; made when the width is known."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        headed = any(column.heading for column in self.table.heads)
        grid = Grid(box=None, padding=(0, self.table.gap, 0, 0), header_style="bold", show_header=headed)
        widths, least = _widths(self.table), _least(self.table, LONG if console.is_terminal else sys.maxsize)
        gaps = self.table.gap * len(widths) + self.table.indent
        rest = list(zip(widths, self.table.heads, strict=True))[1:]
        wide = max(options.max_width, sum(least) + gaps)
        left_over = wide - sum(min(width, each.most or width) for width, each in rest) - gaps
        key = max(least[0], min(widths[0], self.table.heads[0].most or wide, left_over))
        room = wide - sum(widths[1:]) - self.table.gap * len(widths)
        rows = [list(row) for row in self.table.rows[: self.table.limit or None]]
        for number, (column, width) in enumerate(zip(self.table.heads, widths, strict=True)):
            if column.cut:
                kept = max(NARROWEST, min(room, width))
                grid.add_column(column.heading, width=kept, no_wrap=True, overflow="ellipsis")
                for row, text in zip(rows, told_apart([shown(row[number]) for row in rows], kept), strict=True):
                    row[number] = text
            elif not number:
                grid.add_column(column.heading, width=key, overflow="fold")
            elif column.left:
                grid.add_column(column.heading, max_width=column.most, overflow="fold")
            else:
                grid.add_column(column.heading, justify="right", no_wrap=True)
        for row in rows:
            grid.add_row(*(Text(shown(cell), style=cell.style if isinstance(cell, Cell) else "") for cell in row))
        # where a name would get a few letters a line, the lines are longer than the terminal
        yield from console.render(_indented(grid, self.table.indent), options.update(width=wide))


def _widths(table: Table) -> list[int]:
    return [max(len(line) for cell in cells for line in cell.split("\n")) for cells in _columns(table)]


def _least(table: Table, most: int) -> list[int]:
    """What each column needs: the first its longest word of up to `most`, so that names can be copied."""
    words = {len(word) for cell in next(_columns(table)) for word in cell.split()}
    name = max((each for each in words if each <= most), default=1)
    asked = [
        min(width, NARROWEST) if column.left or column.cut else width
        for column, width in zip(table.heads, _widths(table), strict=True)
    ]
    return [asked[0] if table.heads[0].cut else max(name, min(NARROWEST, max(words, default=1))), *asked[1:]]


def _columns(table: Table) -> Iterator[tuple[str, ...]]:
    return zip([column.heading for column in table.heads], *shown_rows(table), strict=True)
