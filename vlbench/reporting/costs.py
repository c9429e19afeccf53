"""What a call costs by how many pictures there are and how large: measured, or predicted as a band, with the floor."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

from vlbench.export import result_tables as tables
from vlbench.export.sheet import Cell, Column, Row, Table, Value, Words
from vlbench.implementations.floor import NAME as FLOOR
from vlbench.judging.words import milliseconds, number_of
from vlbench.predicting.predicted import Band, Prediction
from vlbench.record.base import Grid, grid_text
from vlbench.record.schema import NO_FLAGS
from vlbench.reporting import drawing
from vlbench.reporting.chosen import Sweep, chosen
from vlbench.reporting.drawing import COLOURS, Line
from vlbench.reporting.page import Block, Charts, Section

MOST_PANELS = 6


@dataclass(frozen=True)
class Cost:
    """What one row takes at one point, in seconds: three times the same where it is no band."""

    row: str
    point: str
    grids: tuple[Grid, ...]
    low: float
    middle: float
    high: float

    @property
    def pictures(self) -> int:
        """How many grids are fed in."""
        return len(self.grids)

    @property
    def patches(self) -> int:
        """Of all of them."""
        return sum(map(prod, self.grids))

    @property
    def size(self) -> int:
        """Patches of one picture, where all are alike."""
        return self.patches // self.pictures


def measured_section(sweep: Sweep) -> Iterator[Section]:
    """The reference tower, the set that the run speaks for, and the floor where it is a row; none of one point."""
    picked, rows = chosen(sweep), [row.name for row in sweep.groups[0].rows]
    names = [rows[0], NO_FLAGS, picked[0].row.name, FLOOR] if picked else [*rows[:COLOURS], FLOOR]
    costs = [
        Cost(each.row.name, group.point, group.trials[0].grids, *(3 * (each.seconds,)))
        for group, found in zip(sweep.groups, sweep.found, strict=True)
        for each in found
        if each.row.name in names and each.seconds and group.trials and group.trials[0].grids
    ]
    if len({cost.point for cost in costs}) > 1:
        has = any(cost.row == FLOOR for cost in costs)
        why = "it was a row, and has no times" if FLOOR in rows else "`--with floor` times it"
        floor = "" if has else f"The floor was not measured: {why}."
        blocks: list[Block] = [*_charts(costs, "measured"), _table(costs, tables.facts(sweep.groups[0]))]
        told = [Words(f"Medians. {floor}".strip(), "dim")]
        yield Section("Cost by count and size of pictures, measured", [*blocks, *told])


def predicted_section(found: Prediction) -> Iterator[Section]:
    """The same of every GPU that was predicted for."""
    for gpu in found.boards:
        costs = [
            Cost(name, group.point or group.scenario, group.grids, *_band(band))
            for group in found.groups
            for row in group.rows
            if row.gpu == gpu
            for name, band in ((row.row, row.span), (f"{FLOOR} of {row.row}", row.floor))
            if band
        ]
        costs = _one_floor(costs)
        if len({cost.point for cost in costs}) > 1:
            facts: dict[str, Value] = {"gpu": gpu, "dtype": found.dtype}
            title = f"Cost by count and size of pictures, predicted for {gpu}"
            yield Section(title, [*_charts(costs, f"predicted for {gpu}"), _table(costs, facts)])


def _band(band: Band) -> tuple[float, float, float]:
    return band.low, (band.low * band.high) ** 0.5, band.high


def _one_floor(costs: Sequence[Cost]) -> list[Cost]:
    """Rows of one tower have one floor: it is shown once where all say the same of every point."""
    own = [cost for cost in costs if cost.row.startswith(f"{FLOOR} of ")]
    if len({(each.point, each.low, each.high) for each in own}) != len({each.point for each in own}):
        return list(costs)
    once = {each.point: Cost(FLOOR, each.point, each.grids, each.low, each.middle, each.high) for each in own}
    return [*(cost for cost in costs if cost not in own), *once.values()]


def _charts(costs: Sequence[Cost], how: str) -> Iterator[Charts]:
    """A panel for each size of pictures over their count, and for each count over their size; equal grids alone."""
    alike = [cost for cost in costs if len(set(cost.grids)) == 1]
    names = list(dict.fromkeys(cost.row for cost in costs))
    upward = drawing.upward_axis(end for cost in costs for end in (cost.low, cost.high))
    for is_by_size in (True, False):
        panels: list[tuple[str, str]] = []
        for value in sorted({cost.size if is_by_size else cost.pictures for cost in alike}):
            inside = [cost for cost in alike if (cost.size if is_by_size else cost.pictures) == value]
            across = sorted({cost.pictures if is_by_size else cost.size for cost in inside})
            if len(across) < 2 or len(panels) == MOST_PANELS:
                continue
            count = f"{number_of(value, 'picture')}: ms by patches of a picture"
            told = f"{value:,} patches a picture: ms by pictures" if is_by_size else count
            points: dict[str, list[tuple[float, float, float, float]]] = {}
            for cost in inside:
                at = cost.pictures if is_by_size else cost.size
                points.setdefault(cost.row, []).append((at, cost.low, cost.middle, cost.high))
            lines = [Line(name, names.index(name), found) for name, found in points.items()]
            panels.append((told, drawing.chart(lines, across, upward, f"{told}, {how}")))
        if panels:
            yield Charts(panels, names)


def _table(costs: Sequence[Cost], facts: dict[str, Value]) -> Table:
    """A row for each point."""
    names = list(dict.fromkeys(cost.row for cost in costs))
    rows: list[Row] = []
    for point in dict.fromkeys(cost.point for cost in costs):
        inside = {cost.row: cost for cost in costs if cost.point == point}
        first = next(iter(inside.values()))
        rows.append(
            [
                point or "-",
                first.pictures,
                first.patches,
                _sizes(first.grids),
                *(_cell(name, inside.get(name)) for name in names),
            ]
        )
    heads: list[Column | str] = [
        "point",
        "pictures",
        "patches",
        Column("grids", left=True),
        *(Column(f"{name} ms", name) for name in names),
    ]
    return Table("costs", heads, rows, facts={key: value for key, value in facts.items() if key != "point"})


def _cell(name: str, cost: Cost | None) -> Cell:
    if cost is None:
        return Cell("-")
    if cost.low == cost.high:
        return Cell(milliseconds(cost.middle), cost.middle)
    return Cell(
        f"{milliseconds(cost.low)}-{milliseconds(cost.high)}", {f"{name}_low": cost.low, f"{name}_high": cost.high}
    )


def _sizes(grids: Iterable[Grid]) -> str:
    """Such as "4 of 1x8x8"; of many the first three."""
    found = [f"{often} of {grid_text(grid)}" for grid, often in Counter(grids).most_common()]
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more sizes" if len(found) > 3 else "")
