"""The outcome of an accuracy check as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vlbench.export.console import broken, failures
from vlbench.judge.summary import Row
from vlbench.record.schema import CellGroup, VariantResult


def verified_view(group: CellGroup, batches: Sequence[str], *, failures_only: bool = False) -> RenderableType:
    """One row per variant: its class, its largest error, what is allowed, and pass or FAIL."""
    rows = [row for row in group.variants if not (failures_only and _passed(row))]
    dtypes = ["float32"] if group.dtype == "float32" else ["float32", group.dtype]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("variant", max_width=24)
    table.add_column("class")
    for dtype in dtypes:
        table.add_column(f"{dtype}\nerror", justify="right")
        table.add_column("\nallowed", justify="right")
    table.add_column("")
    for row in rows:
        verdict = Text("pass", style="green") if _passed(row) else Text("FAIL", style="bold red")
        table.add_row(broken(row.name), *_numbers(row, len(dtypes)), verdict)
    passed = sum(map(_passed, group.variants))
    outcome = f"{passed} of {len(group.variants)} passed on {len(batches)} batches: {', '.join(batches)}."
    heading = Text(f"{group.model}, {group.dtype}, {group.device}, {group.weights} weights", style="bold")
    return Group(heading, table, *failures([Row(row) for row in group.variants]), Text(outcome))


def _passed(row: VariantResult) -> bool:
    return row.accuracy is not None and row.accuracy.passed


def _numbers(row: VariantResult, dtypes: int) -> list[str]:
    """Class, then error and limit for each dtype."""
    accuracy = row.accuracy
    if accuracy is None:
        return ["-"] * (1 + 2 * dtypes)
    values = [accuracy.fp32_error, accuracy.fp32_limit, accuracy.timed_error, accuracy.timed_limit]
    return [accuracy.exactness if row.flags is not None else "yardstick", *map(_number, values[: 2 * dtypes])]


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return "0" if value == 0 else f"{value:.1e}"
