"""A stored baseline as tables for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import median

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vlbench.export.words import broken, cells, milliseconds, readable_bytes
from vlbench.judging.words import percent
from vlbench.record.baseline import Acceptance, Baseline, CapturedCell, CountedCell, TimedCell

HEADINGS = {
    "device\nops": "device_operations",
    "attn\ncalls": "attention_calls",
    "host\nsyncs": "host_syncs",
    "up-\nloads": "uploads",
    "implicit\nuploads": "implicit_uploads",
    "alloca-\ntions": "allocations",
}


def baseline_view(baseline: Baseline, unfit: str | None) -> RenderableType:
    """Its cells, its thresholds, and its history; `unfit` is why nothing can be gated on it."""
    parts: list[RenderableType] = [Text(f"{baseline.name}: {cells(len(baseline.cells))}", style="bold")]
    if unfit:
        parts.append(Text(f"not in force: {unfit}", style="red"))
    if baseline.counted:
        parts += [Text(), counted_table(baseline.counted)]
        parts.append(Text("Counted: the second forward. In each, less is better; the first is gated on as well."))
    if baseline.timed:
        parts += [Text(), timed_table(baseline.timed)]
    for cell in baseline.captured:
        parts += [Text(), Text(_captured(cell))]
    parts += [Text(line) for line in thresholds(baseline)]
    parts += [Text(), Text("Accepted:", style="bold")]
    parts += [Text(line) for entry in baseline.accepted for line in _entry(entry)] or [Text("by nobody")]
    parts += [Text(), Text(f"measured on {baseline.fingerprint.line}", style="dim")]
    return Group(*parts)


def list_view(files: Iterable[tuple[str, Baseline | None, str]]) -> RenderableType:
    """A row per file: its name, what is in it (None where it cannot be read), and its state in words."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("file", "cells", "torch", "accepted", "by", "state"):
        table.add_column(heading, overflow="fold")
    for name, baseline, state in files:
        last = baseline.accepted[-1] if baseline and baseline.accepted else None
        table.add_row(
            name,
            str(len(baseline.cells)) if baseline else "-",
            last.torch if last else "-",
            f"{last.date:%Y-%m-%d}" if last else "-",
            last.by if last else "-",
            state,
        )
    return table


def counted_table(counted: Iterable[CountedCell]) -> Table:
    """A row per tower and point: the second forward."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("\ntower", max_width=20, overflow="fold")
    table.add_column("\nfed in", max_width=16, overflow="fold")
    for heading in (*HEADINGS, "peak\n"):
        table.add_column(heading, justify="right", no_wrap=True)
    for cell in counted:
        counters = cell.warm.counters
        figures = [f"{counters[name]:,}" for name in HEADINGS.values()]
        fed = " ".join(filter(None, (cell.scenario, cell.point)))
        table.add_row(broken(cell.tower), fed, *figures, readable_bytes(counters["peak_live_bytes"]))
    return table


def timed_table(timed: Iterable[TimedCell]) -> Table:
    """A row per timed cell: its ratio, over its trials."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("timed", "against"):
        table.add_column(heading, max_width=30, overflow="fold")
    for heading in ("ratio", "trials", "ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    for cell in timed:
        ratio = median(trial.ratio for trial in cell.trials)
        table.add_row(cell.name, cell.reference, f"{ratio:.3f}", str(len(cell.trials)), milliseconds(cell.seconds))
    return table


def thresholds(baseline: Baseline) -> Iterator[str]:
    """By how much cells may differ, where that is not nothing."""
    bands = {cell.name: cell.bands for cell in baseline.counted} | {cell.name: cell.bands for cell in baseline.captured}
    for name, shares in bands.items():
        if shares:
            yield f"{name} may differ: {', '.join(f'{each} by {percent(share)}' for each, share in shares.items())}"
    for timed in baseline.timed:
        floor, threshold = percent(timed.floor), percent(timed.threshold)
        yield f"{timed.name}: a change is called beyond {floor}, and must show from {threshold}"


def _captured(cell: CapturedCell) -> str:
    counters = sum(len(each.counters) for each in cell.ranges)
    return (
        f"capture {cell.name} ({cell.source}, {', '.join(cell.gpus)}): {len(cell.ranges)} ranges, {counters} counters"
    )


def _entry(entry: Acceptance) -> Iterator[str]:
    at = f", at {entry.revision[:9]}{' with changes' if entry.dirty else ''}" if entry.revision else ""
    yield f"{entry.date:%Y-%m-%d} {entry.what} by {entry.by}: {entry.reason} (torch {entry.torch}{at})"
    yield from (f"  {change}" for change in entry.changes)
