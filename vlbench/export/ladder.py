"""A sweep at a glance: the speed-up of every variant at every point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.table import Table

from vlbench.export.words import broken, milliseconds
from vlbench.judging.summary import Summary, summaries
from vlbench.judging.verdict import Floors, Verdict
from vlbench.record.schema import CellGroup, Results


def ladder_tables(results: Results) -> Iterator[Table]:
    """One table per scenario, model, dtype and device that was measured at two points or more."""
    for _, sweep in groupby(results.groups, key=_all_but_the_point):
        groups = list(sweep)
        if len(groups) > 1:
            yield _table(groups)


def _all_but_the_point(group: CellGroup) -> tuple[str, ...]:
    return (group.scenario, group.model, group.dtype, group.device, *(row.name for row in group.rows))


def _table(groups: Sequence[CellGroup]) -> Table:
    first = groups[0]
    title = f"{first.scenario}, {first.dtype}: ms of {first.rows[0].name}, speed-ups (in brackets: not told apart)"
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", title=title)
    table.title_justify, table.title_style = "left", "dim"
    table.add_column("variant", max_width=20)
    for group in groups:
        table.add_column(group.point, justify="right")
    found = [summaries(group, Floors()) for group in groups]
    for number, row in enumerate(first.rows):
        table.add_row(broken(row.name), *(_cell(each[number]) for each in found))
    return table


def _cell(each: Summary) -> str:
    if each.judgement.verdict is Verdict.INACCURATE:
        return "FAIL"
    if each.estimate is None:
        return milliseconds(each.seconds)
    speedup = f"{each.estimate.speedup:.2f}x"
    return f"({speedup})" if each.effect == "unclear" else speedup
