"""Figures over versions as a sheet: a line of blocks for each, first and last value, and every change by version."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial

from vlbench.comparing.history import Change, History, Series
from vlbench.export.sheet import Cell, Column, Columns, Part, Sheet, Value, Words, figure, table_of
from vlbench.judging.words import duration, number_of, readable_bytes
from vlbench.record.grouping import gathered

BLOCKS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
WIDTH = 20
"""Versions that a line of blocks shows, the last of them."""
SHOWN = 3
"""Figures that are named of what changed in one version."""
RULE = (
    "Any step of a count is a change. Times: levels of at least five readings that differ by 1 % or more and stand out "
    "of their noise, on one class of machine."
)


def history_sheet(histories: Sequence[History], *, every: bool = False) -> Sheet:
    """For each file the figures that changed, or `every` one, and when they did."""
    parts: list[Part] = [part for each in histories for part in _parts(each, every)]
    own = {"json": partial(json.dumps, _document(histories), indent=1)}
    return Sheet("vlbench history", [*parts, Words(RULE, "dim")], own=own)


def sparkline(values: Sequence[float | None], width: int = WIDTH) -> str:
    """The last of these values as blocks from the least to the largest; a blank where there is none."""
    last = values[-width:]
    known = [each for each in last if each is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)

    def block(value: float | None) -> str:
        if value is None:
            return " "
        return BLOCKS[round((value - low) / (high - low) * (len(BLOCKS) - 1)) if high > low else 0]

    return "".join(map(block, last))


def ends(history: History) -> str:
    """Whose figures, in how many versions, from which to which."""
    versions = history.versions
    named = (" ".join(filter(None, (each.name, each.date))) for each in (versions[0], versions[-1]))
    many = number_of(len(versions), "version")
    return f"{history.source}: {many}, {' to '.join(dict.fromkeys(named))}"


def _parts(history: History, every: bool) -> Iterator[Part]:
    yield Words(ends(history), "bold")
    kept = [each for each in history.series if every or each.changes]
    for named, facts, rows in by_cell(history, kept):
        yield from (Words(), Words(named))
        yield table_of("history", rows, series_columns(), facts=facts, gap=1)
        yield from _changes(history, rows)
    if len(history.versions) == 1:
        yield Words("one version: nothing to compare yet", "dim")
    elif still := len(history.series) - len(kept):
        yield Words(
            f"{still} of {len(history.series)} figures never changed" + "; --all shows them" * (not every), "dim"
        )
    yield from (Words(note, "yellow") for note in history.notes)
    yield Words()


def by_cell(history: History, kept: Sequence[Series]) -> Iterator[tuple[str, dict[str, Value], list[Series]]]:
    """What each cell on each class of machine is called, its facts for programs, and those of its figures in `kept`."""
    for (cell, machine), rows in gathered(((each.cell, each.machine), each) for each in kept).items():
        facts: dict[str, Value] = {"source": history.source, "cell": cell, "machine": machine}
        yield f"{cell}, on {machine}" if machine else cell, facts, rows


def series_columns(line: Callable[[Series], Cell] = lambda row: Cell(sparkline(row.values))) -> Columns[Series]:
    """A figure, its `line` over the versions, the first and the last value that it has, and how often it changed."""
    return {
        Column("figure", most=32): lambda row: row.figure.replace("_", " "),
        Column("history", left=True): line,
        Column("first"): lambda row: _ends_of(row)[0],
        Column("last"): lambda row: _ends_of(row)[1],
        Column("changes"): lambda row: len(row.changes),
    }


def _ends_of(row: Series) -> tuple[Cell, Cell]:
    """The first and the last value that it has."""
    known = [each for each in row.values if each is not None]
    return pair_cells(known[0], known[-1], row.unit)


def _changes(history: History, rows: Sequence[Series]) -> Iterator[Words]:
    """By version, what changed in it."""
    for at in sorted({change.at for row in rows for change in row.changes}):
        found = [(row, change) for row in rows for change in row.changes if change.at == at]
        told = [_told(row, change) for row, change in found[:SHOWN]]
        told += [f"{len(found) - SHOWN} more"] if len(found) > SHOWN else []
        why = "".join(dict.fromkeys(f" ({change.why})" for _, change in found if change.why))
        version = history.versions[at]
        named = " ".join(filter(None, (version.name, version.date, version.words)))
        yield Words(f"{named}: {', '.join(told)}{why}", indent=2)


def _told(row: Series, change: Change) -> str:
    before, after = (each.shown for each in pair_cells(change.before, change.after, row.unit))
    return f"{row.figure.replace('_', ' ')} {before} -> {after}"


def pair_cells(before: float, after: float, unit: str) -> tuple[Cell, Cell]:
    """Two values of a figure in short, or whole where they differ and look alike so."""
    one, other = value_cell(before, unit), value_cell(after, unit)
    if one.shown == other.shown and before != after:
        one, other = figure(before, _whole), figure(after, lambda each: f"{_whole(each)} {unit}".rstrip())
    return one, other


def _whole(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.10g}"


def value_cell(value: float, unit: str) -> Cell:
    """A figure of a series in its unit."""
    match unit:
        case "B":
            return figure(value, lambda each: readable_bytes(round(each)))
        case "s":
            return figure(value, duration)
        case "x":
            return figure(value, "{:.3f}x")
    return figure(value, "{:,.10g}")


def _document(histories: Sequence[History]) -> list[dict[str, object]]:
    """All of it as JSON: versions, series with a value or null for each, and changes by the version they begin with."""
    return [
        {
            "source": each.source,
            "versions": [{"name": one.name, "date": one.date, "words": one.words} for one in each.versions],
            "series": [
                asdict(one)
                | {"changes": [asdict(change) | {"at": each.versions[change.at].name} for change in one.changes]}
                for one in each.series
            ],
            "notes": each.notes,
        }
        for each in histories
    ]
