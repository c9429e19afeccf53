"""A report as plain data, of which the page, the Markdown and the JSON are made: answers first, then chapters."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from vlbench.export.sheet import Cell, Column, Table, Words, records, row_figures

SCHEMA = "vlbench.report/1"
PARTED = re.compile(r"\n(?=\+)|(?<=:)\n")


@dataclass(frozen=True)
class Picture(Cell):
    """A cell that is drawn. Its figures stand in other cells of the row, unless it has a value."""

    svg: str = ""


@dataclass(frozen=True)
class Drawn(Column):
    """The column of pictures, with their scale in its head."""

    svg: str = ""


@dataclass(frozen=True)
class Charts:
    """Panels beside each other, with the names of their lines, each in the colour of its place."""

    panels: Sequence[tuple[str, str]]
    """What a panel is of, and its SVG."""
    names: Sequence[str]


Block: TypeAlias = "Words | Table | Charts"


@dataclass(frozen=True)
class Section:
    """One question about one thing that was measured."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Chapter:
    """One thing that was measured, counted, predicted or judged."""

    title: str
    source: str
    """The file that it is from."""
    sections: Sequence[Section]
    about: Sequence[str] = ()
    brief: Sequence[Table] = ()
    """What Markdown has of it."""


@dataclass(frozen=True)
class Tile:
    """A question that the first screen answers."""

    question: str
    answer: Cell
    told: str = ""


@dataclass(frozen=True)
class Answer:
    """What the first screen says of one thing that was measured."""

    where: str
    tiles: Sequence[Tile]
    flags: Sequence[str] = ()
    """Of the set, to be switched on."""


@dataclass(frozen=True)
class Machine:
    """Where a file's times come from."""

    source: str
    line: str
    kind: str
    """What must agree for two times to be comparable."""


@dataclass(frozen=True)
class Report:
    """All of it."""

    title: str
    answers: Sequence[Answer]
    warnings: Sequence[str]
    chapters: Sequence[Chapter]
    machines: Sequence[Machine] = field(default_factory=tuple)

    def as_object(self) -> dict[str, Any]:
        """What the page is made of, as plain data: figures by name, in SI units and full precision."""
        return {
            "schema": SCHEMA,
            "title": self.title,
            "machines": [vars(each) for each in self.machines],
            "answers": [_answer(each) for each in self.answers],
            "warnings": list(self.warnings),
            "chapters": [
                {"title": each.title, "source": each.source, "about": list(each.about)}
                | {"sections": [_section(section) for section in each.sections]}
                for each in self.chapters
            ],
        }


def one_line(text: str) -> str:
    """A cell's text in one line: a name that was parted at its + or : is whole again."""
    return PARTED.sub("", text).replace("\n", " ").strip()


def without_pictures(table: Table) -> Table:
    """The same for where nothing can be drawn."""
    return _only(table, [at for at, column in enumerate(table.heads) if not isinstance(column, Drawn)])


def only(table: Table, *keys: str) -> Table:
    """Its columns of these keys, those that it has."""
    return _only(table, [at for at, column in enumerate(table.heads) if column.key in keys])


def _only(table: Table, kept: Sequence[int]) -> Table:
    rows = [[row[at] for at in kept] for row in table.rows]
    return replace(table, columns=[table.heads[at] for at in kept], rows=rows)


def figures_of(tables: Sequence[Table]) -> Iterator[dict[str, Any]]:
    """Every row of tables with its figures by name, also of those that are for people alone."""
    for table in tables:
        plain = without_pictures(table)
        yield from records([plain]) if table.name else (row_figures(plain, row) for row in plain.rows)


def _answer(each: Answer) -> dict[str, Any]:
    tiles = [
        {"question": tile.question, "answer": tile.answer.shown, "figures": tile.answer.value, "told": tile.told}
        for tile in each.tiles
    ]
    return {"where": each.where, "flags": list(each.flags), "tiles": tiles}


def _section(section: Section) -> dict[str, Any]:
    words = [each.text for each in section.blocks if isinstance(each, Words) and each.text]
    tables = [each for each in section.blocks if isinstance(each, Table)]
    return {"title": section.title, "words": words, "rows": list(figures_of(tables))}
