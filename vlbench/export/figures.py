"""The figures of a sheet one by one, for tools that keep histories: whose each is, its unit, and which way is good.

A figure goes into a history only under a name of `measures`. What is not measured, not known here or of a wrong result
is left out, and named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from vlbench.export.sheet import Sheet, Table, Value, row_figures
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import few
from vlbench.record.directions import Better
from vlbench.record.grouping import gathered
from vlbench.untrusted.names import line

if TYPE_CHECKING:
    from vlbench.judging.judged import Judged

SUBJECT = "variant"
"""The first column of tables with figures for a history: whose a row is."""
SAID = ("plan", "platform")
"""Columns in words that tell a row from others."""
LARGEST_SCALE = 1e9
"""By which a format may multiply."""
METRICS = ("time", "metric", "prediction")
MOST_NAMED = 4
"""Names of what is left out that are said; more are counted."""


@dataclass(frozen=True)
class Measure:
    """What a figure says."""

    unit: str
    """s, bytes, count or ratio; of a metric of another tool, whatever its file says."""
    better: Better
    help: str


@dataclass(frozen=True)
class Figure:
    """One finite number."""

    name: str
    """Of its measure, in letters, digits and underscores."""
    measure: Measure
    subject: str
    """Whose it is: of a table, its variant; of a comparison, its cell."""
    labels: Mapping[str, str]
    """What else tells it from others: scenario, dtype, device ..."""
    value: float
    low: float | None = None
    """With `high` the ends of its interval, where it has one."""
    high: float | None = None

    @property
    def full_name(self) -> str:
        """Its subject and all of its labels in one line."""
        return line(" ".join([self.subject, *(f"{name}={told}" for name, told in self.labels.items())]), most=1000)


@dataclass
class Figures:
    """What goes into a history, and what does not."""

    found: dict[tuple[object, ...], Figure] = field(default_factory=dict)
    without: dict[str, dict[str, None]] = field(default_factory=dict)
    """By reason: what is left out."""

    @property
    def left_out(self) -> list[str]:
        """A line for each reason."""
        return [f"{reason}: {few(list(names), MOST_NAMED)}" for reason, names in self.without.items()]

    def leave(self, reason: str, what: str) -> None:
        """Leave it out, by name."""
        self.without.setdefault(reason, {})[line(what)] = None

    def add(self, figure: Figure) -> None:
        """Keep it, unless one of the same name is there already."""
        key = (figure.name, figure.full_name)
        if not isfinite(figure.value * LARGEST_SCALE):
            self.leave("not finite", f"{figure.name} of {figure.subject}")
        elif self.found.setdefault(key, figure).value != figure.value:
            self.leave("a second one of its name", f"{figure.name} of {figure.subject}")


@cache
def measures() -> dict[str, Measure]:
    """What may go into a history, by its name. Read where a history is written, not by every command."""
    import tomllib

    text = Path(__file__).with_name("measures.toml").read_text(encoding="utf-8")
    return {
        name: Measure(unit, Better(way), told)
        for unit, ways in tomllib.loads(text).items()
        for way, names in ways.items()
        for name, told in names.items()
    }


ERRORS = ("fp32_error", "timed_error")
"""What is told of a wrong result as well."""


def figures_of(sheet: Sheet) -> Figures:
    """All figures of a comparison, or of the tables of variants."""
    figures = Figures()
    if sheet.judged is not None and not sheet.parts:
        _of_comparison(figures, sheet.judged)
        return figures
    wrong = set() if sheet.judged is None else _wrong(sheet.judged)
    for table in sheet.tables:
        if table.name and table.heads[0].key == SUBJECT:
            for row in table.rows:
                _of_row(figures, table, row_figures(table, row), wrong)
        elif table.name:
            figures.leave("not for a history", f"table {table.name}")
    return figures


def left_out(sheet: Sheet) -> str:
    """What is not in the figures of a sheet, in words; "" where all is."""
    figures = figures_of(sheet)
    named = [f"left out, {told}" for told in figures.left_out]
    return "; ".join(named if figures.found else ["holds no figure", *named])


def _of_row(figures: Figures, table: Table, row: Mapping[str, Value], wrong: set[str]) -> None:
    told = {**table.facts, **{name: row[name] for name in SAID if name in row}}
    labels = {name: str(value) for name, value in told.items() if value not in (None, "")}
    subject, point = str(row[SUBJECT]), f" [{told['point']}]" if told.get("point") else ""
    is_wrong = row.get("passed") is False or any(
        each.startswith(f"{subject} {told.get('scenario')}{point}:") for each in wrong
    )
    if is_wrong:
        figures.leave("inaccurate", subject)
    for name, value in row.items():
        if isinstance(value, bool | str) or name.endswith(("speed_up_low", "speed_up_high")):
            continue
        if name not in measures():
            if isinstance(value, int | float):
                figures.leave("not for a history", name)
        elif value is None:
            if not is_wrong and measures()[name].unit != "ratio":  # of which the reference has none
                figures.leave("not measured", f"{name} of {subject}")
        elif not is_wrong or name in ERRORS:
            ends = _interval(row.get(f"{name}_low"), row.get(f"{name}_high"))
            figures.add(Figure(name, measures()[name], subject, labels, value, *ends))


def _interval(low: Value, high: Value) -> tuple[float, float] | tuple[()]:
    """Both ends where they are numbers, else nothing."""
    if isinstance(low, int | float) and isinstance(high, int | float) and isfinite((low + high) * LARGEST_SCALE):
        return low, high
    return ()


def _of_comparison(figures: Figures, judged: Judged) -> None:
    """The figures of the second side, and how many times the first's they cost."""
    wrong = _wrong(judged)
    for row in judged.rows:
        if row.cell in wrong or ALL in wrong:
            figures.leave("inaccurate", f"{row.measure} of {row.cell}")
        elif row.verdict is Verdict.MISSING:
            figures.leave("missing", f"{row.measure} of {row.cell}")
        elif row.measure not in METRICS or row.after is None:
            figures.leave("no time and no metric", f"{row.measure} of {row.cell}")
        else:
            is_time = row.measure == "time" and row.unit == "s"
            name = "seconds" if is_time else "relative_time" if row.measure == "time" else row.measure
            unit = line(row.unit) or "ratio"
            measure = measures()[name] if is_time else Measure(unit, Better(row.better), "Figure of the second side")
            labels = {} if is_time else {"unit": unit, "better": str(row.better)}
            subject = row.cell if line(row.cell) else "a cell without a name"
            figures.add(Figure(name, measure, subject, labels, row.after))
            if row.ratio is not None:
                ends = _interval(row.low, row.high)
                figures.add(Figure("cost_ratio", measures()["cost_ratio"], subject, {}, row.ratio, *ends))


ALL = "all metrics"
"""The cell of what holds of every metric of a comparison."""


def _wrong(judged: Judged) -> set[str]:
    return {row.cell for row in judged.rows if row.verdict is Verdict.INACCURATE}


def by_name(figures: Iterable[Figure]) -> dict[str, list[Figure]]:
    """Grouped by measure, in the order of names."""
    return dict(sorted(gathered((each.name, each) for each in figures).items()))
