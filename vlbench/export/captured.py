"""A capture's report as a sheet: coverage, ranges, what blocks the host, copies, kernels, encoder, advice."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pandas as pd

from vlbench.export.sheet import Cell, Column, Part, Sheet, Table, Words
from vlbench.nsys.frames import Capture
from vlbench.nsys.report import Report, number
from vlbench.nsys.text import duration, plain, size

MEDIANS = {
    "range": "range_ns",
    "GPU busy": "busy_ns",
    "GPU idle": "idle_ns",
    "first launch after": "first_launch_ns",
}
# Said of every process without such events, the launcher included: the tables' own counts tell more.
_PER_PROCESS = re.compile(r"^(No|Not all) .* events (collected|might have been)|profiling might have not been started")
_DIAGNOSTICS = 5
_DIAGNOSTIC_LENGTH = 150


def report_sheet(report: Report, limit: int, json: Callable[[], str]) -> Sheet:
    """All tables of a report; people are shown `limit` rows of each, 0 for all."""
    return Sheet("vlbench nsys report", list(report_parts(report, limit)), own={"json": json})


def report_parts(report: Report, limit: int) -> Iterator[Part]:
    """The same as parts of a larger whole."""
    capture = report.capture
    yield Words(capture.path, "bold")
    yield Words(f"{capture.version}; GPU: {', '.join(sorted(set(capture.gpus))) or 'not told'}")
    yield from _coverage(report)
    for table in (*_ranges(report, limit), *_activity(report, limit)):
        yield from (Words(), table)
    yield from _iterations(report, limit)
    yield from _encoder(report)
    yield from _warnings(capture)


def time(value: float) -> Cell:
    """Nanoseconds."""
    return Cell(duration(value), number(value))


def figure(value: float) -> Cell:
    """A count; a median may be a half."""
    return Cell(plain(value), number(value))


def table_of(
    name: str,
    title: str,
    columns: Sequence[str],
    keys: Sequence[str],
    frame: pd.DataFrame,
    row: Callable[[Any], Sequence[Cell | str]],
    limit: int,
) -> Table:
    """A table of a frame: its headings for people, its names for programs, and what makes a row of each row."""
    first, *others = map(Column, columns, keys)
    rows = [tuple(row(line)) for _, line in frame.iterrows()]
    return Table(name, [Column(first.heading, first.name, cut=True), *others], rows, title, gap=1, limit=limit)


def _coverage(report: Report) -> Iterator[Words]:
    seen = report.coverage
    yield Words(f"{seen['gpu_ops']} GPU operations, {seen['api_calls']} CUDA calls, {seen['ranges']} ranges")
    if not seen["gpu_ops"]:
        yield Words("No GPU operation is in this capture: GPU times are not measured.", "yellow")
        return
    reasons = {
        "no_api_row": "have no CUDA call (cut off)",
        "thread_without_ranges": "were launched by threads without ranges",
        "outside_ranges": "lie outside all ranges",
    }
    lost = "".join(f"; {seen[key]} {text}" for key, text in reasons.items() if seen[key])
    share = seen["in_ranges"] / seen["gpu_ops"]
    yield Words(f"Coverage: {share:.1%} of the GPU operations are inside ranges{lost}")


def _ranges(report: Report, limit: int) -> Iterator[Table]:
    frame = report.ranges.sort_values("work_ns", ascending=False, kind="stable").reset_index(names="range")
    if frame.empty:
        return
    times = ("work_ns", "span_ns", "busy_ns", "idle_ns")
    yield table_of(
        "ranges",
        "Ranges on the GPU, summed over n",
        ("range", "n", "kernels", "work", "span", "busy", "idle"),
        ("range", "instances", "kernels", *times),
        frame,
        lambda row: (
            *(str(row["range"]), figure(row["instances"]), figure(row["kernels"] + row["graphs"])),
            *(time(row[key]) for key in times),
        ),
        limit,
    )
    counts = ("syncs", "hidden_syncs", "memcpys", "allocs")
    yield table_of(
        "ranges",
        "The same on the host (1st launch: median after the start)",
        ("range", "launches", "syncs", "hidden", "copies", "allocs", "CUDA calls", "1st launch"),
        ("range", "launches", *counts, "api_ns", "first_launch_ns"),
        frame,
        lambda row: (
            *(str(row["range"]), figure(row["launches"] + row["graph_launches"])),
            *(figure(row[key]) for key in counts),
            *(time(row["api_ns"]), time(row["first_launch_ns"])),
        ),
        limit,
    )


def _activity(report: Report, limit: int) -> Iterator[Table]:
    if not report.syncs.empty:
        yield table_of(
            "syncs",
            "What blocks the host",
            ("class: call", "copy", "n", "in the call", "stalled"),
            ("call", "copy", "count", "ns", "stalled"),
            report.syncs,
            lambda row: (
                *(f"{row['class']}: {row['name']}", row["copy"], figure(row["count"]), time(row["ns"])),
                figure(row["stalled"]),
            ),
            limit,
        )
    if not report.copies.empty:
        yield table_of(
            "copies",
            "Copies",
            ("kind", "n", "bytes", "on the GPU"),
            ("kind", "count", "bytes", "ns"),
            report.copies,
            lambda row: (
                *(f"{row['direction']} {row['src']}>{row['dst']}", figure(row["count"])),
                *(Cell(size(row["bytes"]), number(row["bytes"])), time(row["ns"])),
            ),
            limit,
        )
    keys = ("ns", "median", "most")
    for name, title, first, frame in (
        ("calls", "CUDA calls", "call", report.api),
        ("kernels", "Kernels", "kernel", report.kernels),
    ):
        if not frame.empty:
            yield table_of(
                name,
                title,
                (first, "n", "total", "median", "most"),
                (first, "count", "ns", "median_ns", "most_ns"),
                frame,
                lambda row: (str(row["name"]), figure(row["count"]), *(time(row[key]) for key in keys)),
                limit,
            )


def _iterations(report: Report, limit: int) -> Iterator[Part]:
    frame = report.iterations
    if frame is None or frame.empty:
        return
    yield from (Words(), Words(f"Iterations: {len(frame)} of {report.iteration}", "bold"))
    later = frame.iloc[1:] if len(frame) > 1 else frame
    medians = ", ".join(f"{name} {duration(later[column].median())}" for name, column in MEDIANS.items())
    yield Words(f"medians after the first: {medians}")
    times = ("api_ns", "busy_ns", "idle_ns", "first_launch_ns")
    yield from (Words(), table_of(
        "iterations",
        "Each iteration (syncs: explicit+hidden)",
        ("iteration", "range", "launches", "syncs", "CUDA calls", "busy", "idle", "1st launch"),
        ("iteration", "range_ns", "launches", "syncs", *times),
        frame,
        lambda row: (
            *(Cell(f"#{row.name}", int(row.name)), time(row["range_ns"])),
            figure(row["launches"] + row["graph_launches"]),
            Cell(
                f"{plain(row['syncs'])}+{plain(row['hidden_syncs'])}",
                {"syncs": number(row["syncs"]), "hidden_syncs": number(row["hidden_syncs"])},
            ),
            *(time(row[key]) for key in times),
        ),
        limit,
    ))  # fmt: skip
    yield from _stability(report)


def _stability(report: Report) -> Iterator[Part]:
    if report.stability is None:
        yield Words("Stability of the counters: not measured (fewer than three iterations)")
        return
    yield Words()
    yield table_of(
        "stability",
        "Counters per iteration, without the first",
        ("counter", "usual", "same", "others"),
        ("counter", "usual", "same", "others"),
        report.stability.reset_index(names="counter"),
        lambda row: (
            *(str(row["counter"]), figure(row["usual"])),
            Cell(f"{row['same']}/{row['of']}", {"same": int(row["same"]), "of": int(row["of"])}),
            _others([f"#{each}: {value}" for each, value in row["others"].items()]),
        ),
        limit=0,
    )


def _others(listed: Sequence[str]) -> Cell:
    more = f" +{len(listed) - 3}" if len(listed) > 3 else ""
    return Cell(", ".join(listed[:3]) + more, ", ".join(listed))


def _encoder(report: Report) -> Iterator[Words]:
    forwards = report.forwards
    yield Words()
    if forwards is None:
        yield Words("Encoder: no forward found; name its range with --range REGEX")
        return
    yield Words(f"Encoder: {len(forwards.ranges)} forwards, {forwards.how}", "bold")
    part = report.share
    if part is None or not part.step_busy_ns:
        yield Words("share of the step: not measured (no enclosing range and no second forward, or no GPU work)")
    else:
        yield Words(
            f"share of the GPU's busy time: {part.of_busy:.1%} ({duration(part.encoder_busy_ns)} of "
            f"{duration(part.step_busy_ns)} in {part.steps} steps; a step is {part.step})",
        )
    yield from (Words(f"- {advice.sentence}") for advice in report.advice)
    if not report.advice:
        yield Words("No pattern of the advice table was counted in its forwards.")


def _warnings(capture: Capture) -> Iterator[Words]:
    yield from (Words(f"Note: {note}", "yellow") for note in capture.notes)
    if capture.missing:
        names = [name.removeprefix("CUPTI_ACTIVITY_KIND_").lower() for name in capture.missing]
        yield Words(f"Not recorded in this capture: {', '.join(names)}", "dim")
    said = [" ".join(text.split()) for severity, text in capture.diagnostics if severity > 1]
    telling = list(dict.fromkeys(text for text in said if not _PER_PROCESS.search(text)))
    for text in telling[:_DIAGNOSTICS]:
        cut = "..." if len(text) > _DIAGNOSTIC_LENGTH else ""
        yield Words(f"nsys: {text[:_DIAGNOSTIC_LENGTH]}{cut}", "yellow")
    if len(telling) > _DIAGNOSTICS:
        yield Words(f"  ... {len(telling) - _DIAGNOSTICS} more warnings of nsys (--json has all)", "dim")
