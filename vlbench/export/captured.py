"""Captures as sheets: the report of one, what differs between two, and what `doctor` found."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from vlbench.export.sheet import Cell, Column, Part, Sheet, Table, Words, on_the_left
from vlbench.judging.words import number_of, three_digits
from vlbench.nsys.advice import is_of_rocm
from vlbench.nsys.compare import Difference
from vlbench.nsys.doctor import Check
from vlbench.nsys.frames import Capture
from vlbench.nsys.measured import losses_or_doubt, unmeasured
from vlbench.nsys.report import Report, number
from vlbench.record.grouping import gathered

MEDIANS = {"range": "range_ns", "GPU busy": "busy_ns", "GPU idle": "idle_ns", "first launch after": "first_launch_ns"}
# Said of every process without such events, the launcher included: the tables' own counts tell more.
_PER_PROCESS = re.compile(r"^(No|Not all) .* events (collected|might have been)|profiling might have not been started")
_DIAGNOSTICS = 5
_DIAGNOSTIC_LENGTH = 150


def duration(nanoseconds: float) -> str:
    """A time in three digits: `950 ns`, `12.3 us`, `1.16 s`."""
    return "-" if pd.isna(nanoseconds) else three_digits(nanoseconds, {"s": 1e9, "ms": 1e6, "us": 1e3}, "ns")


def size(count: float) -> str:
    """Bytes in three digits; a dash where they were not told."""
    return "-" if pd.isna(count) else three_digits(count, {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10}, "B")


def plain(value: float) -> str:
    """A count; a mean has a fraction, and what was not measured a dash."""
    return "-" if pd.isna(value) else f"{value:.1f}" if value != int(value) else str(int(value))


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


def _frame_table(
    name: str, title: str, frame: pd.DataFrame, columns: Mapping[str, str], limit: int = 0, **made: Sequence[Cell]
) -> Table:
    """A table of a frame: its columns by their headings, written as their names and types want; some are `made`."""
    heads = [Column(heading, key, cut=not number) for number, (heading, key) in enumerate(columns.items())]
    cells = [made[key] if key in made else [_cell(key, value) for value in frame[key]] for key in columns.values()]
    return Table(name, heads, list(zip(*cells, strict=True)), title, gap=1, limit=limit)


def _cell(key: str, value: Any) -> Cell:
    """Nanoseconds and bytes by their names; else a count, of which a median may be a half."""
    if isinstance(value, str):
        return Cell(value, value)
    write = duration if key.endswith("ns") else size if key == "bytes" else plain
    return Cell(write(value), number(value))


def _coverage(report: Report) -> Iterator[Words]:
    seen = report.coverage
    counted = {"gpu_ops": "GPU operation", "api_calls": "CUDA call", "ranges": "range"}
    yield Words(", ".join(number_of(seen[key], one) for key, one in counted.items()))
    if not seen["api_calls"]:
        yield Words("No CUDA call is in this capture: launches, waits and copies are not measured.", "yellow")
    if not seen["gpu_ops"]:
        yield Words("No GPU operation is in this capture: GPU times are not measured.", "yellow")
        return
    reasons = {
        "no_api_row": "without a CUDA call (cut off)",
        "thread_without_ranges": "launched by threads without ranges",
        "outside_ranges": "outside all ranges",
    }
    lost = "".join(f"; {seen[key]} {text}" for key, text in reasons.items() if seen[key])
    share = seen["in_ranges"] / seen["gpu_ops"]
    yield Words(f"Coverage: {share:.1%} of the GPU operations are inside ranges{lost}")


def _ranges(report: Report, limit: int) -> Iterator[Table]:
    frame = report.ranges.sort_values("work_ns", ascending=False, kind="stable").reset_index(names="range")
    if frame.empty:
        return
    frame["range"] = frame["range"].map(str)
    frame["kernels"] += frame["graphs"]
    frame["launches"] += frame["graph_launches"]
    columns = {"range": "range", "n": "instances", "kernels": "kernels"}
    columns |= {"work": "work_ns", "span": "span_ns", "busy": "busy_ns", "idle": "idle_ns"}
    yield _frame_table("ranges", "Ranges on the GPU, summed over n", frame, columns, limit)
    columns = {"range": "range", "launches": "launches", "syncs": "syncs", "hidden": "hidden_syncs"}
    columns |= {"copies": "memcpys", "allocs": "allocs", "CUDA calls": "api_ns", "1st launch": "first_launch_ns"}
    yield _frame_table("ranges", "The same on the host (1st launch: median after the start)", frame, columns, limit)


def _activity(report: Report, limit: int) -> Iterator[Table]:
    if not report.syncs.empty:
        frame = report.syncs.assign(call=report.syncs["class"] + ": " + report.syncs["name"])
        columns = {"class: call": "call", "copy": "copy", "n": "count", "in the call": "ns", "stalled": "stalled"}
        yield _frame_table("syncs", "What blocks the host", frame, columns, limit)
    if not report.copies.empty:
        ends = (f"{row['direction']} {row['src']}>{row['dst']}" for _, row in report.copies.iterrows())
        columns = {"kind": "kind", "n": "count", "bytes": "bytes", "on the GPU": "ns"}
        yield _frame_table("copies", "Copies", report.copies.assign(kind=list(ends)), columns, limit)
    for title, kind, frame in (("CUDA calls", "call", report.api), ("Kernels", "kernel", report.kernels)):
        if not frame.empty:
            named = frame.rename(columns={"name": kind, "median": "median_ns", "most": "most_ns"})
            columns = {kind: kind, "n": "count", "total": "ns", "median": "median_ns", "most": "most_ns"}
            yield _frame_table(f"{kind}s", title, named, columns, limit)


def _iterations(report: Report, limit: int) -> Iterator[Part]:
    frame = report.iterations
    if frame is None or frame.empty:
        return
    yield from (Words(), Words(f"Iterations: {len(frame)} of {report.iteration}", "bold"))
    later = frame.iloc[1:] if len(frame) > 1 else frame
    medians = ", ".join(f"{name} {duration(later[column].median())}" for name, column in MEDIANS.items())
    yield Words(f"medians after the first: {medians}")
    numbers = [Cell(f"#{each}", number(each)) for each in frame.index]
    waits = [_waits(*pair) for pair in zip(frame["syncs"], frame["hidden_syncs"], strict=True)]
    frame = frame.assign(launches=frame["launches"] + frame["graph_launches"])
    columns = {"iteration": "iteration", "range": "range_ns", "launches": "launches", "syncs": "waits"}
    columns |= {"CUDA calls": "api_ns", "busy": "busy_ns", "idle": "idle_ns", "1st launch": "first_launch_ns"}
    title = "Each iteration (syncs: explicit+hidden)"
    yield from (Words(), _frame_table("iterations", title, frame, columns, limit, iteration=numbers, waits=waits))
    yield from _stability(report)


def _waits(explicit: float, hidden: float) -> Cell:
    return Cell(f"{plain(explicit)}+{plain(hidden)}", {"syncs": number(explicit), "hidden_syncs": number(hidden)})


def _stability(report: Report) -> Iterator[Part]:
    if report.stability is None:
        yield Words("Stability of the counters: not measured (fewer than three iterations)")
        return
    found = report.stability.reset_index(names="counter")
    pairs = zip(found["same"], found["of"], strict=True)
    same = [Cell(f"{same}/{of}", {"same": number(same), "of": number(of)}) for same, of in pairs]
    others = [_others([f"#{each}: {value}" for each, value in row.items()]) for row in found["others"]]
    columns = {"counter": "counter", "usual": "usual", "same": "same", "others": "others"}
    title = "Counters per iteration, without the first"
    yield from (Words(), _frame_table("stability", title, found, columns, same=same, others=others))


def _others(listed: Sequence[str]) -> Cell:
    more = f" +{len(listed) - 3}" if len(listed) > 3 else ""
    return Cell(", ".join(listed[:3]) + more, ", ".join(listed))


def _encoder(report: Report) -> Iterator[Words]:
    forwards = report.forwards
    yield Words()
    if forwards is None:
        yield Words("Encoder: no forward found; name its range with --range REGEX")
        return
    yield Words(f"Encoder: {number_of(len(forwards.ranges), 'forward')}, {forwards.how}", "bold")
    part = report.share
    if part is None or not part.step_busy_ns:
        yield Words("share of the step: not measured (no enclosing range and no second forward, or no GPU work)")
    else:
        yield Words(
            f"share of the GPU's busy time: {part.of_busy:.1%} ({duration(part.encoder_busy_ns)} of "
            f"{duration(part.step_busy_ns)} in {number_of(part.steps, 'step')}; a step is {part.step})"
        )
    yield from (Words(f"- {advice.sentence}") for advice in report.advice)
    if is_of_rocm(report.capture):
        yield Words("The advice table knows CUDA's names alone: of this capture of ROCm it says little or nothing.")
    elif not report.advice:
        yield Words("No pattern of the advice table was counted in its forwards.")


def _warnings(capture: Capture) -> Iterator[Words]:
    yield from (Words(f"Note: {note}", "yellow") for note in (*capture.notes, *losses_or_doubt(capture)))
    for why, names in gathered((why, name) for name, why in unmeasured(capture).items()).items():
        yield Words(f"Not measured: {', '.join(names)} ({why})", "yellow")
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


def difference_parts(found: Difference, limit: int) -> Iterator[Part]:
    """What appeared, vanished and moved, and how long it took."""
    yield from (Words(f"Not comparable: {obstacle}", "red") for obstacle in found.obstacles)
    if found.obstacles:
        return
    yield from (Words(f"Note: {note}", "yellow") for note in found.notes)
    for title, names in (("Appeared", found.appeared), ("Vanished", found.vanished)):
        yield from (Words(f"{title}: {name}") for name in names[: limit or None])
        if limit and len(names) > limit:
            yield Words(f"  ... {len(names) - limit} more {title.lower()}", "dim")
    if found.counters.empty:
        yield Words("Counters: the same in every range of both")
    else:
        columns = {"range": "range", "counter": "counter", "a": "a", "b": "b", "change": "change", "over": "over"}
        title = "Counters, in all over the instances named last"
        yield from (Words(), _frame_table("counters", title, found.counters, columns, limit))
    busy = found.times[found.times["time"] == "busy_ns"].sort_values("b", ascending=False, kind="stable")
    if not busy.empty:
        medians = {"a_median": "a_median_ns", "b_median": "b_median_ns"}
        frame = busy.rename(columns={"a": "a_ns", "b": "b_ns", **medians})
        ratio = [_ratio(*pair) for pair in zip(busy["a"], busy["b"], strict=True)]
        columns = {"range": "range", "a": "a_ns", "b": "b_ns", "b/a": "ratio"}
        columns |= {"median a": "a_median_ns", "median b": "b_median_ns"}
        title = "GPU busy, mean per instance (shown, never judged)"
        yield from (Words(), _frame_table("busy", title, frame, columns, limit, ratio=ratio))


def checks_sheet(checks: Sequence[Check], code: int, json: Callable[[], str]) -> Sheet:
    """One line per check, with the remedy below what is wrong."""
    lines = []
    for check in checks:
        mark = "ok  " if check.ok else "MISS" if check.code else "note"
        lines.append(Words(f"{mark} {check.name}: {check.found}", "" if check.ok else "yellow"))
        if check.remedy:
            lines.append(Words(f"     -> {check.remedy}"))
    columns = on_the_left(("check", "ok", "found", "remedy"))
    rows = [(check.name, check.ok, check.found, check.remedy or None) for check in checks]
    table = Table("checks", columns, rows, lines=lines)
    return Sheet("vlbench nsys doctor", [table], exit_code=code, own={"json": json})


def _ratio(before: float, after: float) -> Cell:
    return Cell(f"{after / before - 1:+.1%}", number(after / before)) if before else Cell("-")
