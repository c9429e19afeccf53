"""The chapter of figures over versions: of each a line whose changes are marked, then every change with its version."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from vlbench.comparing.history import Change, History, Series
from vlbench.export.history import RULE, by_cell, ends, pair_cells, series_columns, sparkline, value_cell
from vlbench.export.sheet import Column, Columns, Table, Value, Words, table_of
from vlbench.reporting import drawing
from vlbench.reporting.page import Chapter, Picture, Section, only
from vlbench.stats.change_points import FLOOR

BRIEF = ("figure", "history", "first", "last", "changes")


def past_chapter(history: History) -> Chapter:
    """A section for each cell that has counts that changed, or times; what never changed is told as a number."""
    kept = [each for each in history.series if each.changes or each.machine]
    sections = [
        Section(named, [_lines(history, rows, facts), *_changes(history, rows, facts)])
        for named, facts, rows in by_cell(history, kept)
    ]
    if still := len(history.series) - len(kept):
        told = f"{still} of {len(history.series)} figures are counts that never changed."
        sections.append(Section("What never changed", [Words(told)]))
    brief = [only(part, *BRIEF) for section in sections for part in section.blocks[:1] if isinstance(part, Table)]
    return Chapter(f"History of {ends(history)}", history.source, sections, [RULE, *history.notes], brief)


def _lines(history: History, rows: Sequence[Series], facts: Mapping[str, Value]) -> Table:
    """A row for each figure: what it was in every version, drawn, and its first and last value."""
    told = f"From {history.versions[0].name} to {history.versions[-1].name}; a bar marks a change"
    return table_of("history", rows, series_columns(partial(_line, history)), title=told, facts=facts)


def _line(history: History, row: Series) -> Picture:
    """With what it was in each version behind it."""
    read = [(version.name, value) for version, value in zip(history.versions, row.values, strict=True)]
    told = [f"{name}: {'none' if value is None else value_cell(value, row.unit).shown}" for name, value in read]
    values: dict[str, Value] = {f"in {name}": value for name, value in read if value is not None} | {"unit": row.unit}
    drawn = drawing.history(row.values, {change.at for change in row.changes}, told, FLOOR if row.machine else 0)
    return Picture(sparkline(row.values), values, svg=drawn)


def _changes(history: History, rows: Sequence[Series], facts: Mapping[str, Value]) -> Iterator[Table]:
    """Every change, the newest first."""
    found = [(row, change) for row in rows for change in row.changes]
    columns: Columns[tuple[Series, Change]] = {
        Column("version"): lambda each: history.versions[each[1].at].name,
        Column("date", left=True): lambda each: history.versions[each[1].at].date or "-",
        Column("figure", left=True): lambda each: each[0].figure.replace("_", " "),
        Column("before"): lambda each: pair_cells(each[1].before, each[1].after, each[0].unit)[0],
        Column("after"): lambda each: pair_cells(each[1].before, each[1].after, each[0].unit)[1],
    }
    if any(history.versions[change.at].words for _, change in found):
        columns[Column("subject", "words", left=True)] = lambda each: history.versions[each[1].at].words or "-"
    if any(change.why for _, change in found):
        columns[Column("what else changed", "why", left=True)] = lambda each: each[1].why or "-"
    if found:
        ordered = sorted(found, key=lambda each: -each[1].at)
        yield table_of("changes", ordered, columns, title="Every change, the newest first", facts=facts)
