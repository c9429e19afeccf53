"""Print a report: coverage, ranges, what blocks the host, copies, kernels, iterations, encoder, advice."""

from __future__ import annotations

import re

from rich.console import Console

from vlbench.nsys.frames import Capture
from vlbench.nsys.report import Report
from vlbench.nsys.text import duration, head, more, plain, print_table, say, size

_MEDIANS = (
    ("range", "range_ns"),
    ("GPU busy", "busy_ns"),
    ("GPU idle", "idle_ns"),
    ("first launch after", "first_launch_ns"),
)
# Said of every process without such events, the launcher included: the tables' own counts tell more.
_PER_PROCESS = re.compile(r"^(No|Not all) .* events (collected|might have been)|profiling might have not been started")
_DIAGNOSTICS = 5
_DIAGNOSTIC_LENGTH = 150


def print_report(report: Report, console: Console, limit: int) -> None:
    """All tables of a report; `limit` rows of each, 0 for all."""
    capture = report.capture
    say(console, capture.path, "bold")
    say(console, f"{capture.version}; GPU: {', '.join(sorted(set(capture.gpus))) or 'not told'}")
    _coverage(report, console)
    _ranges(report, console, limit)
    _activity(report, console, limit)
    _iterations(report, console, limit)
    _encoder(report, console)
    _warnings(capture, console)


def _coverage(report: Report, console: Console) -> None:
    seen = report.coverage
    say(console, f"{seen['gpu_ops']} GPU operations, {seen['api_calls']} CUDA calls, {seen['ranges']} ranges")
    if not seen["gpu_ops"]:
        say(console, "No GPU operation is in this capture: GPU times are not measured.", "yellow")
        return
    reasons = (
        ("no_api_row", "have no CUDA call (cut off)"),
        ("thread_without_ranges", "were launched by threads without ranges"),
        ("outside_ranges", "lie outside all ranges"),
    )
    lost = [f"{seen[key]} {text}" for key, text in reasons if seen[key]]
    share = seen["in_ranges"] / seen["gpu_ops"]
    say(
        console,
        f"Coverage: {share:.1%} of the GPU operations are inside ranges" + "".join(f"; {text}" for text in lost),
    )


def _ranges(report: Report, console: Console, limit: int) -> None:
    table = report.ranges.sort_values("work_ns", ascending=False, kind="stable")
    if table.empty:
        return
    chosen = head(table, limit)
    gpu = [
        (
            str(name),
            plain(row["instances"]),
            plain(row["kernels"] + row["graphs"]),
            *(duration(row[column]) for column in ("work_ns", "span_ns", "busy_ns", "idle_ns")),
        )
        for name, row in chosen.iterrows()
    ]
    print_table(
        console,
        "Ranges on the GPU, summed over n",
        "range",
        ("n", "kernels", "work", "span", "busy", "idle"),
        gpu,
    )
    more(console, table, limit)
    host = [
        (
            str(name),
            plain(row["launches"] + row["graph_launches"]),
            *(plain(row[column]) for column in ("syncs", "hidden_syncs", "memcpys", "allocs")),
            duration(row["api_ns"]),
            duration(row["first_launch_ns"]),
        )
        for name, row in chosen.iterrows()
    ]
    columns = ("launches", "syncs", "hidden", "copies", "allocs", "CUDA calls", "1st launch")
    print_table(console, "The same on the host (1st launch: median after the start)", "range", columns, host)
    more(console, table, limit)


def _activity(report: Report, console: Console, limit: int) -> None:
    if not report.syncs.empty:
        rows = [
            (
                f"{row['class']}: {row['name']}",
                row["copy"],
                plain(row["count"]),
                duration(row["ns"]),
                plain(row["stalled"]),
            )
            for _, row in head(report.syncs, limit).iterrows()
        ]
        print_table(console, "What blocks the host", "class: call", ("copy", "n", "in the call", "stalled"), rows)
        more(console, report.syncs, limit)
    if not report.copies.empty:
        copies: list[tuple[str, ...]] = [
            (
                f"{row['direction']} {row['src']}>{row['dst']}",
                plain(row["count"]),
                size(row["bytes"]),
                duration(row["ns"]),
            )
            for _, row in head(report.copies, limit).iterrows()
        ]
        print_table(console, "Copies", "kind", ("n", "bytes", "on the GPU"), copies)
        more(console, report.copies, limit)
    for title, first, table in (("CUDA calls", "call", report.api), ("Kernels", "kernel", report.kernels)):
        if not table.empty:
            rows = [
                (
                    str(row["name"]),
                    plain(row["count"]),
                    duration(row["ns"]),
                    duration(row["median"]),
                    duration(row["most"]),
                )
                for _, row in head(table, limit).iterrows()
            ]
            print_table(console, title, first, ("n", "total", "median", "most"), rows)
            more(console, table, limit)


def _iterations(report: Report, console: Console, limit: int) -> None:
    table = report.iterations
    if table is None or table.empty:
        return
    console.print()
    say(console, f"Iterations: {len(table)} of {report.iteration}", "bold")
    later = table.iloc[1:] if len(table) > 1 else table
    say(
        console,
        "medians after the first: "
        + ", ".join(f"{name} {duration(later[column].median())}" for name, column in _MEDIANS),
    )
    rows = [
        (
            f"#{number}",
            duration(row["range_ns"]),
            plain(row["launches"] + row["graph_launches"]),
            f"{plain(row['syncs'])}+{plain(row['hidden_syncs'])}",
            *(duration(row[column]) for column in ("api_ns", "busy_ns", "idle_ns", "first_launch_ns")),
        )
        for number, row in head(table, limit).iterrows()
    ]
    columns = ("range", "launches", "syncs", "CUDA calls", "busy", "idle", "1st launch")
    print_table(console, "Each iteration (syncs: explicit+hidden)", "iteration", columns, rows)
    more(console, table, limit)
    _stability(report, console)


def _stability(report: Report, console: Console) -> None:
    if report.stability is None:
        say(console, "Stability of the counters: not measured (fewer than three iterations)")
        return
    rows = []
    for name, row in report.stability.iterrows():
        listed = [f"#{number}: {value}" for number, value in row["others"].items()]
        others = ", ".join(listed[:3]) + (f" +{len(listed) - 3}" if len(listed) > 3 else "")
        rows.append((str(name), plain(row["usual"]), f"{row['same']}/{row['of']}", others))
    print_table(console, "Counters per iteration, without the first", "counter", ("usual", "same", "others"), rows)


def _encoder(report: Report, console: Console) -> None:
    forwards = report.forwards
    if forwards is None:
        console.print()
        say(console, "Encoder: no forward found; name its range with --range REGEX")
        return
    console.print()
    say(console, f"Encoder: {len(forwards.ranges)} forwards, {forwards.how}", "bold")
    part = report.share
    if part is None or not part.step_busy_ns:
        say(
            console,
            "share of the step: not measured (no enclosing range and no second forward, or no GPU work)",
        )
    else:
        say(
            console,
            f"share of the GPU's busy time: {part.of_busy:.1%} ({duration(part.encoder_busy_ns)} of "
            f"{duration(part.step_busy_ns)} in {part.steps} steps; a step is {part.step})",
        )
    for advice in report.advice:
        say(console, f"- {advice.sentence}")
    if not report.advice:
        say(console, "No pattern of the advice table was counted in its forwards.")


def _warnings(capture: Capture, console: Console) -> None:
    for note in capture.notes:
        say(console, f"Note: {note}", "yellow")
    if capture.missing:
        names = [name.removeprefix("CUPTI_ACTIVITY_KIND_").lower() for name in capture.missing]
        say(console, f"Not recorded in this capture: {', '.join(names)}", "dim")
    said = [" ".join(text.split()) for severity, text in capture.diagnostics if severity > 1]
    telling = list(dict.fromkeys(text for text in said if not _PER_PROCESS.search(text)))
    for text in telling[:_DIAGNOSTICS]:
        say(
            console,
            f"nsys: {text[:_DIAGNOSTIC_LENGTH]}{'...' if len(text) > _DIAGNOSTIC_LENGTH else ''}",
            "yellow",
        )
    if len(telling) > _DIAGNOSTICS:
        say(console, f"  ... {len(telling) - _DIAGNOSTICS} more warnings of nsys (--json has all)", "dim")
