"""Write a capture as a Chrome trace for Perfetto: ranges, API calls and GPU operations on one timeline.

Push/pop ranges and API calls share their thread's row, start/end ranges become asynchronous slices (they may overlap),
each GPU stream is a row of its device, and an arrow leads from each launch to what it started.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from vlbench.nsys.frames import Capture

Event = dict[str, Any]

_GPU = 1 << 30  # devices are shown as processes with numbers above any process id


def write_trace(capture: Capture, path: Path) -> int:
    """Write the trace, gzipped where `path` ends in .gz; returns the number of events."""
    opener: Any = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8") as file:
        return _write(capture, file)


def _write(capture: Capture, file: TextIO) -> int:
    file.write('{"displayTimeUnit":"ns","traceEvents":[\n')
    number = 0
    for number, event in enumerate(_events(capture), start=1):
        file.write(",\n" if number > 1 else "")
        json.dump(event, file, separators=(",", ":"))
    file.write("\n]}\n")
    return number


def _events(capture: Capture) -> Iterator[Event]:
    starts = [table["start"].min() for table in (capture.ranges, capture.api, capture.gpu_ops) if len(table)]
    zero = int(min(starts)) if starts else 0
    yield from _names(capture)
    yield from _range_events(capture, zero)
    for row in capture.api[["start", "end", "tid", "pid", "name"]].itertuples(index=False):
        pid, tid = _thread(capture, row.pid, row.tid)
        yield _slice(row.name, "api", row.start - zero, row.end - row.start, pid, tid)
    yield from _gpu_events(capture, zero)


def _thread(capture: Capture, pid: int, tid: int) -> tuple[int, int]:
    """Process and thread as the system numbers them."""
    if capture.source == "kineto":
        return int(pid), int(tid) & 0xFFFFFFFF
    return (int(pid) >> 24) & 0xFFFFFF, int(tid) & 0xFFFFFF


def _microseconds(nanoseconds: int) -> float:
    return int(nanoseconds) / 1000


def _slice(name: str, kind: str, start: int, length: int, pid: int, tid: int, **args: object) -> Event:
    event: Event = {
        "ph": "X",
        "name": name,
        "cat": kind,
        "ts": _microseconds(start),
        "dur": _microseconds(length),
    }
    return event | {"pid": pid, "tid": tid} | ({"args": args} if args else {})


def _names(capture: Capture) -> Iterator[Event]:
    for tid, name in capture.thread_names.items():
        pid, thread = _thread(capture, tid, tid)
        yield {"ph": "M", "name": "thread_name", "pid": pid, "tid": thread, "args": {"name": name}}
    places = (
        capture.gpu_ops[["pid", "device", "stream"]]
        .drop_duplicates()
        .sort_values(["device", "pid", "stream"])
    )
    for device in places["device"].unique().tolist():
        yield {"ph": "M", "name": "process_name", "pid": _GPU + device, "args": {"name": f"GPU {device}"}}
    for row, (pid, device, stream) in enumerate(places.itertuples(index=False)):
        process, _ = _thread(capture, pid, pid)
        name = f"stream {stream} of process {process}"
        yield {"ph": "M", "name": "thread_name", "pid": _GPU + device, "tid": row, "args": {"name": name}}


def _range_events(capture: Capture, zero: int) -> Iterator[Event]:
    columns = ["start", "end", "tid", "pid", "domain", "name", "nested", "open"]
    for number, row in enumerate(capture.ranges[columns].itertuples(index=False)):
        pid, tid = _thread(capture, row.pid, row.tid)
        name = f"{row.domain}:{row.name}" if row.domain else row.name
        args = {"open": True} if row.open else {}
        if row.nested:
            yield _slice(name, "range", row.start - zero, row.end - row.start, pid, tid, **args)
            continue
        event = {"name": name, "cat": "range", "id": number, "pid": pid, "tid": tid, "args": args}
        yield {"ph": "b", "ts": _microseconds(row.start - zero)} | event
        yield {"ph": "e", "ts": _microseconds(row.end - zero)} | event


def _gpu_events(capture: Capture, zero: int) -> Iterator[Event]:
    ops = capture.gpu_ops
    places = ops[["pid", "device", "stream"]].drop_duplicates().sort_values(["device", "pid", "stream"])
    rows = {place: row for row, place in enumerate(places.itertuples(index=False, name=None))}
    calls = capture.api[["start", "tid", "pid"]].to_numpy(dtype=np.int64)
    columns = [
        "start",
        "end",
        "pid",
        "device",
        "stream",
        "kind",
        "name",
        "bytes",
        "direction",
        "src",
        "dst",
        "api",
    ]
    for number, op in enumerate(ops[columns].itertuples(index=False)):
        pid, tid = _GPU + op.device, rows[op.pid, op.device, op.stream]
        name, args = op.name, {}
        if op.kind == "memcpy":
            name, args = f"{op.direction} {op.src}>{op.dst}", {"bytes": int(op.bytes)}
        yield _slice(name, op.kind, op.start - zero, op.end - op.start, pid, tid, **args)
        if op.api >= 0:
            start, thread, process = calls[op.api].tolist()
            host = dict(zip(("pid", "tid"), _thread(capture, process, thread), strict=True))
            flow = {"name": "launch", "cat": "launch", "id": number}
            yield flow | host | {"ph": "s", "ts": _microseconds(start - zero)}
            yield flow | {"ph": "f", "bp": "e", "pid": pid, "tid": tid, "ts": _microseconds(op.start - zero)}
