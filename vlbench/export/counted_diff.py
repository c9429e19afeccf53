"""Two counts beside each other, as tables."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vlbench.comparing.counts_difference import Change, Difference

MOST_OPERATIONS = 12
"""Rows of operations that are shown; --json has all."""


def difference_view(found: Difference) -> RenderableType:
    """Counters, operations and lines that differ; one sentence where nothing does."""
    parts: list[RenderableType] = [Text(f"{found.before} -> {found.after}", style="bold")]
    if found.incomparable:
        parts.append(Text(f"not comparable: {found.incomparable}", style="red"))
    if not (found.counters or found.operations or found.lines):
        return Group(*parts, Text("no counter, operation or line differs"))
    parts += [_changes("counter", found.counters)]
    if found.operations:
        parts += [Text(), _changes("operation", found.operations[:MOST_OPERATIONS])]
        if (more := len(found.operations) - MOST_OPERATIONS) > 0:
            parts.append(Text(f"and {more} more (--json)", style="dim"))
    for heading, lines in (
        ("vanished", [each for each in found.lines if not each.after]),
        ("appeared", [each for each in found.lines if not each.before]),
        ("changed", [each for each in found.lines if each.before and each.after]),
    ):
        if lines:
            parts += [Text(), Text(f"{heading}:", style="bold")]
        for each in lines:
            times = f"{each.before:,} -> {each.after:,}" if heading == "changed" else f"{each.before or each.after:,}x"
            parts.append(Text(f"  {times} {each.event} {each.where}"))
    return Group(*parts)


def _changes(heading: str, changes: Iterable[Change]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(heading)
    for name in ("before", "after", "change"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in changes:
        words = each.name.replace("_", " ") if heading == "counter" else each.name
        table.add_row(words, f"{each.before:,}", f"{each.after:,}", f"{each.after - each.before:+,}")
    return table
