"""Write a capture as a Chrome trace for Perfetto: ranges, API calls and GPU operations on one timeline.

Push/pop ranges and API calls share their thread's row, start/end ranges become asynchronous slices (they may
overlap), each GPU stream is a row of its device, and an arrow leads from each launch to what it started.
"""

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from vlbench.nsys.frames import Capture

Event = dict[str, Any]

_GPU = 1 << 30  # devices are shown as processes with numbers above any process id


def write_trace(capture: Capture, path: Path) -> int:
    """Write the trace, gzipped where `path` ends in .gz; returns the number of events."""
    return write_events(_events(capture), path)


def write_events(events: Iterable[Event], path: Path) -> int:
    """Write events of Chrome's trace format, gzipped where `path` ends in .gz; returns how many there were."""
    opener: Any = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8") as file:
        return _write(events, file)


def _write(events: Iterable[Event], file: TextIO) -> int:
    file.write('{"displayTimeUnit":"ns","traceEvents":[\n')
    number = 0
    for number, event in enumerate(events, start=1):
        file.write(",\n" if number > 1 else "")
        json.dump(event, file, separators=(",", ":"))
    file.write("\n]}\n")
    return number


def _events(capture: Capture) -> Iterator[Event]:
    tables = (capture.ranges, capture.api, capture.gpu_ops)
    zero = min((int(table["start"].to_numpy().min()) for table in tables if len(table)), default=0)
    yield from _names(capture)
    yield from _range_events(capture, zero)
    for start, end, process, thread, name in _rows(capture.api, "start", "end", "pid", "tid", "name"):
        yield _slice(name, "api", start - zero, end - start, *_thread(capture, process, thread))
    yield from _gpu_events(capture, zero)


def _rows(table: pd.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    """The rows as plain Python values."""
    return zip(*(table[column].tolist() for column in columns), strict=True)


def _thread(capture: Capture, pid: int, tid: int) -> tuple[int, int]:
    """Process and thread as the system numbers them."""
    if capture.source == "kineto":
        return pid, tid & 0xFFFFFFFF
    return (pid >> 24) & 0xFFFFFF, tid & 0xFFFFFF


def _slice(name: str, kind: str, start: int, length: int, pid: int, tid: int, **args: object) -> Event:
    place = {"ts": start / 1000, "dur": length / 1000, "pid": pid, "tid": tid}
    return {"ph": "X", "name": name, "cat": kind} | place | ({"args": args} if args else {})


def _places(capture: Capture) -> list[tuple[Any, ...]]:
    """Every (device, process, stream) in the order of their rows."""
    return sorted(_rows(capture.gpu_ops[["device", "pid", "stream"]].drop_duplicates(), "device", "pid", "stream"))


def _names(capture: Capture) -> Iterator[Event]:
    for thread, name in capture.thread_names.items():
        pid, tid = _thread(capture, thread, thread)
        yield {"ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": {"name": name}}
    places = _places(capture)
    for device in dict.fromkeys(place[0] for place in places):
        yield {"ph": "M", "name": "process_name", "pid": _GPU + device, "args": {"name": f"GPU {device}"}}
    for row, (device, pid, stream) in enumerate(places):
        name = f"stream {stream} of process {_thread(capture, pid, pid)[0]}"
        yield {"ph": "M", "name": "thread_name", "pid": _GPU + device, "tid": row, "args": {"name": name}}


def _range_events(capture: Capture, zero: int) -> Iterator[Event]:
    columns = ("start", "end", "pid", "tid", "domain", "name", "nested", "open")
    for number, row in enumerate(_rows(capture.ranges, *columns)):
        start, end, process, thread, domain, name, nested, unclosed = row
        pid, tid = _thread(capture, process, thread)
        label = f"{domain}:{name}" if domain else name
        args = {"open": True} if unclosed else {}
        if nested:
            yield _slice(label, "range", start - zero, end - start, pid, tid, **args)
            continue
        event = {"name": label, "cat": "range", "id": number, "pid": pid, "tid": tid, "args": args}
        yield {"ph": "b", "ts": (start - zero) / 1000} | event
        yield {"ph": "e", "ts": (end - zero) / 1000} | event


def _gpu_events(capture: Capture, zero: int) -> Iterator[Event]:
    rows = {place: row for row, place in enumerate(_places(capture))}
    calls = list(_rows(capture.api, "start", "pid", "tid"))
    columns = ("start", "end", "device", "pid", "stream", "kind", "name", "bytes", "direction", "src", "dst", "api")
    for number, op in enumerate(_rows(capture.gpu_ops, *columns)):
        start, end, device, process, stream, kind, name, size, direction, src, dst, call = op
        pid, tid = _GPU + device, rows[device, process, stream]
        copied = kind == "memcpy"
        label = f"{direction} {src}>{dst}" if copied else name
        yield _slice(label, kind, start - zero, end - start, pid, tid, **({"bytes": size} if copied else {}))
        if call >= 0:
            launched, *host = calls[call]
            host_pid, host_tid = _thread(capture, *host)
            flow = {"name": "launch", "cat": "launch", "id": number}
            yield flow | {"ph": "s", "ts": (launched - zero) / 1000, "pid": host_pid, "tid": host_tid}
            yield flow | {"ph": "f", "bp": "e", "ts": (start - zero) / 1000, "pid": pid, "tid": tid}
