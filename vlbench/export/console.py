"""A sheet on a terminal of 80 columns."""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import TextWrapper

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table as Grid
from rich.text import Text

from vlbench.export.comparison import judged_parts
from vlbench.export.cutting import told_apart
from vlbench.export.sheet import Cell, Part, Row, Sheet, Table, Words, shown, shown_rows

NARROWEST = 12
"""Characters that a column which is cut keeps."""
LONG = 40
"""Characters of a name that is whole on any terminal; a longer one goes on below. In a pipe all are whole."""
COMMAND = re.compile(r"`(?:vlbench|git|pip) [^`]*`|\S+://\S+")
Columns = Sequence[tuple[str, ...]]
"""Each with its heading, then its cells as people read them."""
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
        columns = list(zip([each.heading for each in self.table.heads], *shown_rows(self.table), strict=True))
        widths, least = _widths(columns), _least(self.table, columns, LONG if console.is_terminal else sys.maxsize)
        gaps = self.table.gap * len(widths) + self.table.indent
        rest = list(zip(widths, self.table.heads, strict=True))[1:]
        wide = max(options.max_width, sum(least) + gaps)
        left_over = wide - sum(min(width, each.most or width) for width, each in rest) - gaps
        key = max(least[0], min(widths[0], self.table.heads[0].most or wide, left_over))
        whole = [max(width, NARROWEST * each.cut) for width, each in zip(widths, self.table.heads, strict=True)]
        fits = key >= whole[0] and all(width <= each.most for width, each in rest if each.left and each.most)
        if fits and wide >= sum(whole) + gaps and _is_plain(columns):
            yield from self._aligned(console, whole)
            return
        headed = any(column.heading for column in self.table.heads)
        grid = Grid(box=None, padding=(0, self.table.gap, 0, 0), header_style="bold", show_header=headed)
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

    def _aligned(self, console: Console, widths: Sequence[int]) -> Iterator[Segment]:
        """What the grid makes of cells that all fit, in a fraction of its time."""
        heads = [column.heading.split("\n") for column in self.table.heads]
        deep = max(map(len, heads))
        titles = zip(*([""] * (deep - len(head)) + head for head in heads), strict=True)
        rows: list[Row] = [[Cell(text, style="bold") for text in row] for row in titles if any(row)]
        for row in (*rows, *self.table.rows[: self.table.limit or None]):
            yield Segment(" " * self.table.indent)
            for number, (cell, column, width) in enumerate(zip(row, self.table.heads, widths, strict=True)):
                pad = str.rjust if number and not (column.left or column.cut) else str.ljust
                style = cell.style if isinstance(cell, Cell) else ""
                yield Segment(pad(shown(cell), width) + " " * self.table.gap, console.get_style(style))
            yield Segment.line()


def _is_plain(columns: Columns) -> bool:
    """Is each cell one line, each of its signs as wide as another?"""
    cells = (cell for _, *cells in columns for cell in cells)
    return all(cell.isprintable() and cell_len(cell) == len(cell) for cell in cells)


def _widths(columns: Columns) -> list[int]:
    return [max(len(line) for cell in cells for line in cell.split("\n")) for cells in columns]


def _least(table: Table, columns: Columns, most: int) -> list[int]:
    """What each column needs: the first its longest word of up to `most`, so that names can be copied."""
    words = {len(word) for cell in columns[0] for word in cell.split()}
    name = max((each for each in words if each <= most), default=1)
    asked = [
        min(width, NARROWEST) if column.left or column.cut else width
        for column, width in zip(table.heads, _widths(columns), strict=True)
    ]
    return [asked[0] if table.heads[0].cut else max(name, min(NARROWEST, max(words, default=1))), *asked[1:]]
