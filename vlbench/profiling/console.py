"""What profilers found, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from vlbench.profiling.breakdown import Breakdown
from vlbench.profiling.tally import Charge
from vlbench.profiling.trace import Operator


def _table(title: str, first: str, *columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", title=title)
    table.title_justify, table.title_style = "left", "dim"
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def stage_table(found: Breakdown) -> Table:
    """A row per stage: visits, own and total time, share of all own time, and exact counts without inner stages."""
    timed = ("own ms", "total ms", "share")
    table = _table("one forward, medians; own: without the stages inside", "stage", "n", *timed, "aten ops", "SDPA")
    if found.gpu is not None:
        table = _table(
            "one forward, medians; own: without the stages inside; GPU: between events, idle time included",
            "stage", "n", *timed, "GPU own", "GPU total", "aten ops", "SDPA",
        )  # fmt: skip
    whole = sum(charge.own for charge in found.host.values())
    for name, charge in found.host.items():
        times = [_ms(charge.own), _ms(charge.total), f"{charge.own / whole:.1%}" if whole else "-"]
        if found.gpu is not None:
            on_gpu = found.gpu.get(name)
            times += [_ms(on_gpu.own), _ms(on_gpu.total)] if on_gpu else ["-", "-"]
        counts = [_own(found.operations, name), _own(found.attention_calls, name)]
        table.add_row(Text(name), f"{charge.visits:g}", *times, *counts)
    return table


def operator_table(operators: Sequence[Operator], limit: int) -> Table:
    """Operations by own host time."""
    table = _table("operations on the host, whole trace", "aten::", "n", "own ms")
    for one in operators[:limit]:
        table.add_row(Text(one.name), str(one.calls), _ms(one.own_seconds))
    return table


def range_table(ranges: Sequence[tuple[str, int, float]]) -> Table:
    """Ranges of a trace: name, instances and seconds on the host."""
    table = _table("ranges on the host, whole trace", "range", "n", "ms")
    for name, instances, seconds in ranges:
        table.add_row(Text(name), str(instances), _ms(seconds))
    return table


def overhead_table(costs: Mapping[str, float], stages: int, forward_seconds: float) -> Table:
    """Seconds of entering and leaving one stage, by who listens, and what all of a forward's stages make of it."""
    title = f"{stages} stages in a forward of {forward_seconds * 1e3:.3g} ms"
    table = _table(title, "listener", "ns a stage", "us a forward", "share of it")
    for name, seconds in costs.items():
        share = seconds * stages / forward_seconds
        table.add_row(name, f"{seconds * 1e9:.0f}", f"{seconds * stages * 1e6:.1f}", f"{share:.3%}")
    return table


def _own(table: Mapping[str, Charge], name: str) -> str:
    return f"{table[name].own:g}" if name in table else "-"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3f}"
