"""The share of each stage in the forward."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from vlbench.export.words import broken
from vlbench.judge.summary import Summary

COLUMNS = {
    "plan": ("plan", "window_order", "rope", "restore_order"),
    "patches": ("patch_embed",),
    "attention": ("attention",),
    "mlp": ("mlp",),
    "merger": ("merger",),
    "rest": ("forward",),
}
"""Column -> the stages that it adds up."""


def stage_table(found: Sequence[Summary]) -> Table | None:
    """Share of each stage, self time, from extra rounds; None where none were run."""
    rows = [(each, total) for each in found if (total := sum(each.stages.values()))]
    if not rows:
        return None
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", title="share of the forward, self time, %")
    table.title_justify, table.title_style = "left", "dim"
    table.add_column("variant", max_width=20)
    for heading in COLUMNS:
        table.add_column(heading, justify="right")
    for each, total in rows:
        shares = (sum(each.stages.get(name, 0.0) for name in names) / total for names in COLUMNS.values())
        table.add_row(broken(each.row.name), *(f"{100 * share:.0f}" for share in shares))
    return table
