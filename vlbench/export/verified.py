"""The outcome of an accuracy check as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vlbench.export.console import failures
from vlbench.export.words import broken
from vlbench.judging.summary import Summary, summaries
from vlbench.judging.verdict import Floors
from vlbench.record.schema import CellGroup


def verified_view(group: CellGroup, batches: Sequence[str], *, failures_only: bool = False) -> RenderableType:
    """One row per variant: its class, its largest error, what is allowed, and pass or FAIL."""
    found = summaries(group, Floors())
    dtypes = ["float32"] if group.dtype == "float32" else ["float32", group.dtype]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("variant", max_width=24)
    table.add_column("class")
    for dtype in dtypes:
        table.add_column(f"{dtype}\nerror", justify="right")
        table.add_column("\nallowed", justify="right")
    table.add_column("")
    for each in found:
        if not (failures_only and _passed(each)):
            verdict = Text("pass", style="green") if _passed(each) else Text("FAIL", style="bold red")
            table.add_row(broken(each.row.name), *_numbers(each, len(dtypes)), verdict)
    outcome = f"{sum(map(_passed, found))} of {len(found)} passed on {len(batches)} batches: {', '.join(batches)}."
    heading = Text(f"{group.model}, {group.dtype}, {group.device}, {group.weights} weights", style="bold")
    return Group(heading, table, *failures(found), Text(outcome))


def _passed(each: Summary) -> bool:
    return each.accuracy is not None and each.accuracy.passed


def _numbers(each: Summary, dtypes: int) -> list[str]:
    """Class, then error and limit for each dtype."""
    accuracy = each.accuracy
    if accuracy is None:
        return ["-"] * (1 + 2 * dtypes)
    values = [accuracy.fp32_error, accuracy.fp32_limit, accuracy.timed_error, accuracy.timed_limit]
    return ["yardstick" if each.row.is_yardstick else accuracy.exactness, *map(_number, values[: 2 * dtypes])]


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return "0" if value == 0 else f"{value:.1e}"
