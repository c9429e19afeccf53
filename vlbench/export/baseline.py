"""A stored baseline as a sheet."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from statistics import median

from vlbench.export.sheet import Cell, Column, Columns, Part, Sheet, Table, Words, broken, figure, on_the_left, table_of
from vlbench.judging.words import milliseconds, number_of, percent, readable_bytes
from vlbench.process.git import is_in_history
from vlbench.record.baseline import Acceptance, Baseline, CapturedCell, CountedCell, TimedCell

COUNTERS = (
    Column("device\nops", "device_operations"),
    Column("attn\ncalls", "attention_calls"),
    Column("attn\nplans", "attention_plans"),
    Column("host\nsyncs", "host_syncs"),
    Column("up-\nloads", "uploads"),
    Column("implicit\nuploads", "implicit_uploads"),
    Column("alloca-\ntions", "allocations"),
)


def baseline_sheet(baseline: Baseline, unfit: str | None, json: Callable[[], str]) -> Sheet:
    """Its cells, its thresholds, and its history; `unfit` is why nothing can be gated on it."""
    parts: list[Part] = [Words(f"{baseline.name}: {number_of(len(baseline.cells), 'cell')}", "bold")]
    if unfit:
        parts.append(Words(f"not in force: {unfit}", "red"))
    if baseline.counted:
        parts += [Words(), counted_table(baseline.counted)]
        parts.append(Words("Counted: the second forward. In each, less is better; the first is gated on as well."))
    if baseline.timed:
        parts += [Words(), timed_table(baseline.timed)]
    for cell in baseline.captured:
        parts += [Words(), Words(_captured(cell))]
    parts += [Words(line) for line in thresholds(baseline)]
    parts += [Words(), Words("Accepted:", "bold")]
    parts += [Words(line) for entry in baseline.accepted for line in _entry(entry)] or [Words("by nobody")]
    parts += [Words(), Words(f"measured on {baseline.fingerprint.line}", "dim")]
    return Sheet("vlbench baseline show", parts, own={"json": json})


def list_sheet(files: Iterable[tuple[str, Baseline | None, str]], json: Callable[[], str]) -> Sheet:
    """A row per file: its name, what is in it (None where it cannot be read), and its state in words."""
    rows = []
    for name, baseline, state in files:
        last = baseline.accepted[-1] if baseline and baseline.accepted else None
        accepted = (last.torch, f"{last.date:%Y-%m-%d}", last.by) if last else (None, None, None)
        rows.append((name, len(baseline.cells) if baseline else None, *accepted, state))
    columns = on_the_left(("file", "cells", "torch", "accepted", "by", "state"))
    return Sheet("vlbench baseline list", [Table("baselines", columns, rows)], own={"json": json})


def counted_table(counted: Iterable[CountedCell]) -> Table:
    """A row per tower and point: the second forward."""
    columns: Columns[CountedCell] = {
        Column("tower", most=20): lambda cell: Cell(broken(cell.tower), cell.tower),
        Column("fed in", left=True, most=16): _fed_in,
        **{column: partial(_counter, column.key) for column in COUNTERS},
        Column("peak\n", "peak_live_bytes"): lambda cell: figure(_counter("peak_live_bytes", cell), readable_bytes),
    }
    return table_of("counted", counted, columns, gap=1)


def timed_table(timed: Iterable[TimedCell]) -> Table:
    """A row per timed cell: its ratio, over its trials."""
    columns: Columns[TimedCell] = {
        Column("timed", most=30): lambda cell: cell.name,
        Column("against", left=True, most=30): lambda cell: cell.reference,
        "ratio": lambda cell: figure(median(trial.ratio for trial in cell.trials), "{:.3f}"),
        "trials": lambda cell: len(cell.trials),
        Column("ms", "seconds"): lambda cell: figure(cell.seconds, milliseconds),
    }
    return table_of("timed", timed, columns)


def thresholds(baseline: Baseline) -> Iterator[str]:
    """By how much cells may differ, where that is not nothing."""
    bands = {cell.name: cell.bands for cell in baseline.counted} | {cell.name: cell.bands for cell in baseline.captured}
    for name, shares in bands.items():
        if shares:
            yield f"{name} may differ: {', '.join(f'{each} by {percent(share)}' for each, share in shares.items())}"
    for timed in baseline.timed:
        floor, threshold = percent(timed.floor), percent(timed.threshold)
        yield f"{timed.name}: a change is called beyond {floor}, and must show from {threshold}"


def _fed_in(cell: CountedCell) -> Cell:
    return Cell(f"{cell.scenario} {cell.point}".strip(), {"scenario": cell.scenario, "point": cell.point})


def _counter(name: str, cell: CountedCell) -> int | None:
    """None where the file is older than the counter."""
    return cell.warm.counters.get(name)


def _captured(cell: CapturedCell) -> str:
    counters = sum(len(each.counters) for each in cell.ranges)
    held = f"{number_of(len(cell.ranges), 'range')}, {number_of(counters, 'counter')}"
    return f"capture {cell.name} ({cell.source}, {', '.join(cell.gpus)}): {held}"


def _entry(entry: Acceptance) -> Iterator[str]:
    at = f", at {entry.revision[:9]}{' with changes' if entry.dirty else ''}" if entry.revision else ""
    if entry.revision and not is_in_history(entry.revision):
        at += ", which is not in the history here"
    yield f"{entry.date:%Y-%m-%d} {entry.what} by {entry.by}: {entry.reason} (torch {entry.torch}{at})"
    yield from (f"  {change}" for change in entry.changes)
