"""A sheet on a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from vlbench.export.judged_console import judged_view
from vlbench.export.sheet import Cell, Part, Sheet, Table, Words, shown, shown_rows

NARROWEST = 12
"""Characters that a column which is cut keeps."""


def view_of(sheet: Sheet) -> RenderableType:
    """All of it: a comparison by its verdicts, else the parts one below the other."""
    if sheet.view is not None:
        return sheet.view
    return judged_view(sheet.judged) if sheet.judged is not None and not sheet.parts else view(sheet.parts)


def view(parts: Iterable[Part]) -> RenderableType:
    """Paragraphs and tables one below the other. Nothing in them is read as markup."""
    return Group(*(each for part in parts for each in _part(part)))


def _part(part: Part) -> Iterator[RenderableType]:
    if isinstance(part, Words):
        yield from _words(part)
    elif isinstance(part, Table):
        yield from _table(part)
    else:
        yield judged_view(part)


def _words(words: Words) -> Iterator[RenderableType]:
    if words.style == "ansi":
        yield Text.from_ansi(words.text, no_wrap=True, overflow="ignore")
        return
    text = Text(words.text, style=words.style)
    if words.cut:
        text.no_wrap, text.overflow = True, "ellipsis"
    yield Padding(text, (0, 0, 0, words.indent), expand=False) if words.indent else text


def _table(table: Table) -> Iterator[RenderableType]:
    if table.title:
        yield Text(table.title, style="dim")
    if table.lines is not None:
        yield from (each for line in table.lines for each in _words(line))
    else:
        yield _Grid(table)
    if table.left_out:
        yield Text(table.left_out, style="dim")


@dataclass(frozen=True)
class _Grid:
    """The first column on the left, others on the right; made when the width is known."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        grid = Grid(box=None, padding=(0, self.table.gap, 0, 0), header_style="bold")
        widths = _widths(self.table)
        room = options.max_width - sum(widths[1:]) - self.table.gap * len(widths)
        for number, (column, width) in enumerate(zip(self.table.heads, widths, strict=True)):
            if column.cut:
                kept = max(NARROWEST, min(room, width))
                grid.add_column(column.heading, width=kept, no_wrap=True, overflow="ellipsis")
            elif column.left or not number:
                grid.add_column(column.heading, max_width=column.most, overflow="fold")
            else:
                grid.add_column(column.heading, justify="right", no_wrap=True)
        for row in self.table.rows[: self.table.limit or None]:
            grid.add_row(*(Text(shown(cell), style=cell.style if isinstance(cell, Cell) else "") for cell in row))
        yield grid


def _widths(table: Table) -> list[int]:
    lines = [[column.heading for column in table.heads], *shown_rows(table)]
    return [max(len(line) for cell in column for line in cell.split("\n")) for column in zip(*lines, strict=True)]
