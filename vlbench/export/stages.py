"""The share of each stage in the forward."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from vlbench.export.words import broken
from vlbench.judging.summary import Summary

COLUMNS = {
    "plan": ("plan", "window_order", "rope", "restore_order"),
    "patches": ("patch_embed",),
    "attention": ("attention",),
    "mlp": ("mlp",),
    "merger": ("merger",),
    "rest": ("forward",),
}
"""Column -> the stages that it adds up. A stage in none of them is a column of its own."""


def stage_table(found: Sequence[Summary]) -> Table | None:
    """Share of each stage, self time, from extra rounds; None where none were run."""
    rows = [(each, total) for each in found if (total := sum(each.stages.values()))]
    if not rows:
        return None
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", title="share of the forward, self time, %")
    table.title_justify, table.title_style = "left", "dim"
    table.add_column("variant", max_width=20)
    known = {name for names in COLUMNS.values() for name in names}
    strangers = dict.fromkeys(name for each, _ in rows for name in each.stages if name not in known)
    columns = COLUMNS | {name: (name,) for name in strangers}
    for heading in columns:
        table.add_column(heading, justify="right")
    for each, total in rows:
        table.add_row(broken(each.row.name), *(_share(each, names, total) for names in columns.values()))
    return table


def _share(each: Summary, names: Sequence[str], total: float) -> str:
    """In per cent; a tower that marks none of these stages has their time elsewhere."""
    marked = [each.stages[name] for name in names if name in each.stages]
    return f"{100 * sum(marked) / total:.0f}" if marked else "-"
