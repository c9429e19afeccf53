"""Numbers and tables as text that reads well in 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text


def duration(nanoseconds: float) -> str:
    """A time in three digits: `950 ns`, `12.3 us`, `1.16 s`."""
    if pd.isna(nanoseconds):
        return "-"
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if abs(nanoseconds) >= size:
            return (
                f"{nanoseconds / size:.3g} {unit}"
                if abs(nanoseconds) < 1000 * size
                else f"{nanoseconds / size:.0f} {unit}"
            )
    return f"{nanoseconds:.0f} ns"


def size(count: float) -> str:
    """Bytes in three digits."""
    for unit, power in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= power:
            return f"{count / power:.3g} {unit}" if count < 1000 * power else f"{count / power:.0f} {unit}"
    return f"{count:.0f} B"


def plain(value: float) -> str:
    """A count; a median may be a half."""
    return f"{value:.1f}" if value != int(value) else str(int(value))


def print_table(
    console: Console, title: str, first: str, columns: Sequence[str], rows: Iterable[Sequence[str]]
) -> None:
    """Numbers keep their width; the first column takes what is left of the line."""
    cells = [tuple(row) for row in rows]
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    widths = [max(len(row[index]) for row in [("", *columns), *cells]) for index in range(1, len(columns) + 1)]
    room = console.width - sum(widths) - len(widths) - 1
    longest = max(len(row[0]) for row in [(first,), *cells])
    table.add_column(first, overflow="ellipsis", no_wrap=True, width=max(12, min(room, longest)))
    for column, width in zip(columns, widths, strict=True):
        table.add_column(column, justify="right", no_wrap=True, min_width=width)
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    console.print()
    say(console, title, "bold")
    console.print(table)


def say(console: Console, text: str, style: str = "") -> None:
    """One paragraph, never read as markup: names in a capture may hold brackets."""
    console.print(Text(text), style=style, soft_wrap=False)


def head(table: pd.DataFrame, limit: int) -> pd.DataFrame:
    """The first rows; all of them where the limit is 0."""
    return table.head(limit) if limit else table


def more(console: Console, table: pd.DataFrame, limit: int) -> None:
    """Say how many rows `head` left out."""
    if limit and len(table) > limit:
        say(console, f"  ... {len(table) - limit} more (--limit 0 shows all)", "dim")
