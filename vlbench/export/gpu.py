"""The four numbers of a GPU: a call's span, its busy part, the host's time to issue it, and the share of idleness."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from vlbench.export.words import broken, milliseconds
from vlbench.judging.summary import Summary

MUCH_IDLE = 0.10
"""Above this share of idleness a span says more of the host than of the GPU."""


def gpu_table(found: Sequence[Summary]) -> Table | None:
    """None where nothing was measured on a GPU."""
    if not any(each.host_seconds for each in found):
        return None
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", title="GPU: milliseconds of one call")
    table.title_justify, table.title_style = "left", "dim"
    table.add_column("variant", max_width=20)
    for heading in ("span", "busy", "host", "idle"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for each in found:
        idle = each.idle_share
        note = "" if idle is None else "host-bound" if idle > MUCH_IDLE else "device-bound"
        share = "not measured" if idle is None else f"{idle:.0%}"
        times = map(milliseconds, (each.seconds, each.busy_seconds, each.host_seconds))
        table.add_row(broken(each.row.name), *times, share, note)
    return table
