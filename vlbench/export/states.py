"""The states of the caches beside each other."""

from __future__ import annotations

from typing import get_args

from rich.table import Table

from vlbench.export.words import broken, milliseconds
from vlbench.judging.summary import Summary, summaries
from vlbench.judging.verdict import Floors
from vlbench.record.schema import CellGroup, State


def state_table(group: CellGroup) -> Table | None:
    """Milliseconds, speed-up and hit rate in each state; None where only one was measured."""
    measured = {state for trial in group.trials for variant in trial.variants for state in variant.timings}
    states: list[State] = [state for state in get_args(State) if state in measured]
    if len(states) < 2:
        return None
    found = {state: summaries(group, Floors(), state) for state in states}
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", title="ms, speed-up and cache hits by state")
    table.title_justify, table.title_style = "left", "dim"
    table.add_column("variant", max_width=20)
    for state in states:
        table.add_column(state, justify="right")
    for number, row in enumerate(group.rows):
        table.add_row(broken(row.name), *(_cell(found[state][number]) for state in states))
    return table


def _cell(each: Summary) -> str:
    if each.seconds is None:
        return "-"
    speedup = f" {each.estimate.speedup:.2f}x" if each.estimate else ""
    hits = f" {each.hit_rate:.0%}" if each.hit_rate is not None else ""
    return f"{milliseconds(each.seconds)}{speedup}{hits}"
