"""What a command found, as plain data: paragraphs and tables, from which every format is made.

Nothing here knows a format or a library of tables. A table holds what people read and, beside it, the value for
programs in full precision.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from vlbench.judging.words import in_digits

if TYPE_CHECKING:
    from vlbench.judging.judged import Judged
    from vlbench.record.site import Where

T = TypeVar("T")

NAME_WIDTH = 20
"""Characters that fit into the first column."""

Level = Literal["error", "warning", "note"]
"""How much a line of code matters."""
Value = str | int | float | bool | None
"""What a program reads: SI units, shares as fractions, None where nothing was measured."""


@dataclass(frozen=True)
class Words:
    """A paragraph; an empty one is a blank line."""

    text: str = ""
    style: str = ""
    """As a terminal has it: bold is a heading, dim an aside, red what failed; ansi: the text brings its own."""
    indent: int = 0
    cut: bool = False
    """One line, cut at the edge of the terminal rather than wrapped."""
    styled: str = ""
    """The piece of the text that has the style, where that is not all of it."""


@dataclass(frozen=True)
class Cell:
    """What people read, and the value behind it; several named values where one cell tells several."""

    shown: str
    value: Value | Mapping[str, Value] = None
    style: str = ""


Row = Sequence[Cell | Value]
"""Plain values are shown as they are."""


def figure(value: Any, written: str | Callable[[Any], str], style: str = "") -> Cell:
    """A figure as `written` has it, a format such as "{:.1f}" or a function; "-" where there is none."""
    write = written.format if isinstance(written, str) else written
    return Cell("-" if value is None else write(value), value, style)


@dataclass(frozen=True)
class Column:
    """A heading for people, which may have two lines, and a name for programs, by default the same in one line."""

    heading: str
    name: str = ""
    left: bool = False
    """The first column is on the left anyway."""
    most: int | None = None
    """Characters, after which a cell goes on in a line below."""
    cut: bool = False
    """Cut at the edge of the terminal in place of that: numbers beside it keep their width."""

    @property
    def one_line(self) -> str:
        """The heading in one line: a word that was parted at its hyphen is whole again."""
        return self.heading.replace("-\n", "").replace("\n", " ").strip()

    @property
    def key(self) -> str:
        """The name for programs."""
        return self.name or self.one_line


def on_the_left(headings: Iterable[str]) -> list[Column]:
    """Columns of words."""
    return [Column(heading, left=True) for heading in headings]


@dataclass(frozen=True)
class Table:
    """Rows under headings."""

    name: str
    """For programs. Rows of tables of one name, with the same facts and first column, are one record; "" is for people
    alone, since another table has the same figures."""
    columns: Sequence[Column | str]
    rows: Sequence[Row]
    title: str = ""
    facts: Mapping[str, Value] = field(default_factory=dict)
    """What holds of every row, such as its scenario; for programs, since people read it above the table."""
    gap: int = 2
    indent: int = 0
    limit: int = 0
    """Rows that people are shown; 0: all. Programs get all."""
    lines: Sequence[Words] | None = None
    """What a terminal shows in place of a grid."""

    @property
    def heads(self) -> list[Column]:
        """The columns, each as a `Column`."""
        return [each if isinstance(each, Column) else Column(each) for each in self.columns]

    @property
    def left_out(self) -> str:
        """What to say of the rows that people are not shown; "" where they see all."""
        more = len(self.rows) - self.limit
        return f"  ... {more} more (--limit 0 shows all)" if self.limit and more > 0 else ""


Columns: TypeAlias = dict[Column | str, Callable[[T], Cell | Value]]
"""What stands in each column of the row of an object."""


def table_of(name: str, objects: Iterable[T], columns: Columns[T], **options: Any) -> Table:
    """A table with a row for each object; `options` are those of `Table`."""
    return Table(name, list(columns), [[write(each) for write in columns.values()] for each in objects], **options)


Part: TypeAlias = "Words | Table | Judged"
"""A comparison among the parts is shown beside what was measured, and has no say in the exit code."""


@dataclass(frozen=True)
class LineFound:
    """A line of code about which a command has something to say."""

    rule: str
    """What it does, such as `count/read-back`: a name of `vlbench.export.rules.rules`."""
    level: Level
    chain: tuple[Where, ...]
    """The line and those that called it, the one to show first."""
    told: str
    """What it does, in words, without how often."""
    often: str
    """How often, such as "6x"."""
    cell: str
    """Of what."""
    advice: str = ""
    allowed: str = ""
    """Why the code says that this is meant; "" where it does not."""


@dataclass(frozen=True)
class Sheet:
    """All that a command has to say. A comparison has no parts: each format tells its verdicts in its own way."""

    title: str
    parts: Sequence[Part] = ()
    judged: Judged | None = None
    """The verdicts: of a comparison all there is; beside parts, what passes and fails in them."""
    exit_code: int = 0
    own: Mapping[str, Callable[[], str]] = field(default_factory=dict)
    """By the name of a format: its text, where that is not made from the parts or verdicts."""
    view: Sequence[Part] = ()
    """What a terminal shows in place of the parts or verdicts."""
    last: str = ""
    """A line for stderr, after all else."""
    lines: Sequence[LineFound] = ()
    """Lines of code that were found; those that moved in a comparison are in its rows."""

    @property
    def tables(self) -> list[Table]:
        """The tables among the parts."""
        return [part for part in self.parts if isinstance(part, Table)]


def compared(judged: Judged, *, view: Sequence[Part] = (), **own: Callable[[], str]) -> Sheet:
    """A comparison as a sheet."""
    return Sheet(f"vlbench {judged.command}", judged=judged, exit_code=int(judged.exit_code), view=view, own=own)


def checked(title: str, parts: Sequence[Part], judged: Judged, **own: Callable[[], str]) -> Sheet:
    """What was measured, and what passes and fails in it."""
    return Sheet(title, parts, judged, int(judged.exit_code), own)


def beside(judged: Judged) -> Iterator[Part]:
    """What a command that measures says of what it measured beside something else; it ends as it would without."""
    yield from (Words(), judged)
    if judged.exit_code:
        yield Words(f"`vlbench diff` ends with that {judged.exit_code:d}; this command ends as it would alone.", "dim")


def shown(value: Cell | Value) -> str:
    """A cell as people read it."""
    if isinstance(value, Cell):
        return value.shown
    if value is None:
        return "-"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return in_digits(value) if isinstance(value, float) else str(value)


def broken(name: str) -> str:
    """A long combination, or module and factory, over several lines, so that it stays in its column."""
    return name if len(name) <= NAME_WIDTH else re.sub(r"(:+)", r"\1\n", name.replace("+", "\n+")).removeprefix("\n")


def shown_rows(table: Table) -> list[list[str]]:
    """The rows that people are shown, as they read them."""
    return [[shown(each) for each in row] for row in table.rows[: table.limit or None]]


def records(tables: Iterable[Table]) -> list[dict[str, Value]]:
    """All rows of all tables for programs. Each has `table`, the facts of its table and a value per column."""
    found: list[dict[str, Value]] = []
    joined: dict[tuple[object, ...], dict[str, Value]] = {}
    for table in tables:
        for row in table.rows if table.name else ():
            figures = row_figures(table, row)
            key = (table.name, *table.facts.items(), next(iter(figures.values())))
            record = joined.get(key)
            if record is None or record.keys() & list(figures)[1:]:
                record = joined[key] = {"table": table.name, **table.facts}
                found.append(record)
            record.update(figures)
    return found


def row_figures(table: Table, row: Row) -> dict[str, Value]:
    """A row as programs read it, by names."""
    figures: dict[str, Value] = {}
    for column, each in zip(table.heads, row, strict=True):
        value = each.value if isinstance(each, Cell) else each
        figures |= value if isinstance(value, Mapping) else {column.key: value}
    return figures
