"""A calibration as a table: how far counts and GPU agree."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vlbench.export.words import broken
from vlbench.record.calibration import Calibration, Check


def calibrated_view(found: Calibration) -> RenderableType:
    """Per tower: counted and seen, and the kernels that the others' table gives; below it, every disagreement."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("\ntower", max_width=20)
    for heading in ("syncs\ncounted/seen", "uploads\ncounted/seen", "read-backs\ncounted/seen", "kernels\nmodel/seen"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in found.checks:
        pairs = (f"{each.counted[name]:,}/{each.seen[name]:,}" for name in ("host_syncs", "uploads", "read_backs"))
        table.add_row(broken(each.tower), *pairs, f"{each.modelled_kernels:,.0f}/{each.kernels:,}")
    how = "each tower modelled from the others" if found.out_of_sample else "in sample, as there is one tower"
    return Group(
        Text(f"{found.gpu}, torch {found.torch_version}, as {found.profile}", style="bold"),
        table,
        Text(f"{len(found.entries)} kinds of operations; largest error of modelled kernels {found.error:.1%} ({how})."),
        *(Text(line, style="red") for each in found.checks for line in _disagreements(each)),
    )


def _disagreements(each: Check) -> list[str]:
    lines = [
        f"{each.tower}: {line.where}: {line.counted} waits counted, {line.warned} warned of" for line in each.lines
    ]
    lines += [
        f"{each.tower}: {name}: {counted} calls counted, {seen} seen" for name, (counted, seen) in each.calls.items()
    ]
    return lines + [
        f"{each.tower}: {n} kernels in {name}, which is not counted" for name, n in each.unattributed.items()
    ]
