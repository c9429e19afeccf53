"""Read a torch profiler (Kineto) trace into the same frames as an nsys export.

Ranges are `record_function` annotations: Kineto does not see NVTX. Times are microseconds, often with a
fraction on top of a 16-digit epoch, which a double cannot hold: they are parsed as decimal text into integer
nanoseconds.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from vlbench.errors import UsageError
from vlbench.nsys.frames import API_COLUMNS, GPU_COLUMNS, GPU_KINDS, RANGE_COLUMNS, Capture, category, frame, match
from vlbench.nsys.names import FAMILIES, NOT_RECORDED, api_name, family, range_name
from vlbench.nsys.tables import LATEST
from vlbench.untrusted.files import Kind, parse_json, read_bytes, unpacked
from vlbench.untrusted.limits import Limit

_API = ("cuda_runtime", "cuda_driver")
_RANGE = "user_annotation"
_GPU = {"kernel": "kernel", "gpu_memcpy": "memcpy", "gpu_memset": "memset"}
_COPY = re.compile(r"Memcpy (\w+)(?: \((.+?) -> (.+?)\))?")

TRACE = Kind(
    "was the profiler stopped before the file was copied?",
    Limit.CAPTURE,
    Limit.CAPTURE_VALUES,
    broken="{path}: not valid JSON ({why}); {remedy}",
)
Event = dict[str, Any]
Ints = npt.NDArray[np.int64]


def read_kineto(path: Path) -> Capture:
    """Read the trace at `path`, plain or gzipped. Raises UsageError where it is something else."""
    head, events = _parsed(path)
    if cut := sum(map(_is_cut, events)):
        raise UsageError(f"{path}: {cut} events lack their category, time, length or thread; {TRACE.remedy}")
    complete = [event for event in events if event.get("ph") == "X" and "ts" in event]
    by_category = {
        name: [e for e in complete if str(e.get("cat", "")).lower() == name] for name in (*_API, _RANGE, *_GPU)
    }
    if not any(by_category.values()):
        raise UsageError(
            f"{path}: no CUDA call, GPU operation or annotation in the trace; "
            "profile with activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]"
        )
    try:
        calls = [event for name in _API for event in by_category[name]]
        api, asked = _api(calls), _arguments(calls, "size", -1)
        gpu_ops = _gpu_ops([(kind, event) for name, kind in _GPU.items() for event in by_category[name]], api, asked)
        ranges = _ranges(by_category[_RANGE])
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise UsageError(
            f"{path}: an event of the trace has a time, id or argument of an unexpected form ({error})"
        ) from error
    processes = api["pid"].nunique()
    devices = head["deviceProperties"] if isinstance(head.get("deviceProperties"), list) else []
    return Capture(
        path=str(path),
        source="kineto",
        ranges=ranges,
        api=api,
        gpu_ops=gpu_ops,
        gpus=tuple(str(each.get("name", "")) for each in devices if isinstance(each, dict)),
        missing=tuple(name for name, found in by_category.items() if not found and name != "cuda_driver"),
        notes=(f"{processes} processes call CUDA and a GPU row names none: nothing is attributed",) * (processes > 1),
    )


def _is_cut(event: object) -> bool:
    """Is it no event, or of those that are counted and lacks what says what and where it is?"""
    if not isinstance(event, dict):
        return True
    kind = event.get("cat")
    if not isinstance(kind, str):
        return kind is not None or event.get("ph") == "X"
    if (kind := kind.lower()) in (*_API, _RANGE):
        return event.get("ph") != "X" or not {"ts", "dur", "name", "pid", "tid"} <= event.keys()
    if kind in _GPU:
        return event.get("ph") != "X" or not {"ts", "name"} <= event.keys()
    return event.get("ph") == "X" and _known_call(str(event.get("name")))


@lru_cache(4096)
def _known_call(name: str) -> bool:
    return family(api_name(name)) != "other"


def parsed_events(path: Path) -> list[Event]:
    """Those of a trace that `read_kineto` has read before."""
    return _parsed(path)[1]


def _parsed(path: Path) -> tuple[dict[str, Any], list[Any]]:
    """What stands beside the events, and these."""
    raw = read_bytes(path, TRACE)
    if raw.startswith(b"\x1f\x8b"):
        raw = unpacked(raw, str(path), Limit.CAPTURE.most)
    document = parse_json(raw, str(path), TRACE, errors="replace", parse_float=str, strict=False)
    head = document if isinstance(document, dict) else {}
    events = document if isinstance(document, list) else head.get("traceEvents")
    if not isinstance(events, list):
        raise UsageError(f"{path}: JSON without a traceEvents list, so not a trace of the torch profiler")
    return head, events


def _nanoseconds(value: object) -> int:
    text = str(value)
    if "e" in text or "E" in text:
        return round(float(text) * 1000)
    whole, _, fraction = text.partition(".")
    digits = int((fraction + "0000")[:4])  # a fourth digit to round by
    return int(whole) * 1000 + (-1 if whole.startswith("-") else 1) * ((digits + 5) // 10)


def times_of(events: list[Event]) -> tuple[Ints, Ints]:
    """When each began and ended, in nanoseconds."""
    start = np.array([_nanoseconds(event["ts"]) for event in events], dtype=np.int64)
    length = np.array([_nanoseconds(event.get("dur", 0)) for event in events], dtype=np.int64)
    if (start < 0).any() or (length < 0).any() or (np.maximum(start, length) > LATEST).any():
        raise ValueError("a time or length that no clock shows")
    return start, start + length


def thread_of(event: Event) -> int:
    """A number for (process, thread) made as nsys makes its globalTid."""
    process = int(str(event.get("pid", 0))) & 0x3FFFFFFF
    return (process << 32) | (int(str(event.get("tid", 0))) & 0xFFFFFFFF)


def _arguments(events: list[Event], name: str, absent: int) -> Ints:
    values = ((event.get("args") or {}).get(name, absent) for event in events)
    return np.array([int(float(str(value))) for value in values], dtype=np.int64)


def _api(events: list[Event]) -> pd.DataFrame:
    start, end = times_of(events)
    names = [api_name(str(event.get("name", ""))) for event in events]
    tid = np.array([thread_of(event) for event in events], dtype=np.int64)
    return frame(
        API_COLUMNS,
        start=start,
        end=end,
        tid=tid,
        pid=tid >> 32,
        corr=_arguments(events, "correlation", -1),
        name=pd.Categorical(names),
        family=pd.Categorical([family(name) for name in names], categories=list(FAMILIES)),
    )


def _gpu_ops(events: list[tuple[str, Event]], api: pd.DataFrame, sizes_asked: Ints) -> pd.DataFrame:
    """`sizes_asked`: bytes by API row, as ROCm writes them in place of those of the copy; -1 where there are none."""
    plain = [event for _, event in events]
    start, end = times_of(plain)
    pids = np.unique(api["pid"].to_numpy())
    # Rows name a device, not their process.
    pid = np.full(len(plain), pids[0] if pids.size == 1 else -1, dtype=np.int64)
    corr = _arguments(plain, "correlation", -1)
    owner, size = match(api, pid, corr), _arguments(plain, "bytes", -1)
    copies = [_COPY.match(str(event.get("name", ""))[:200]) if kind == "memcpy" else None for kind, event in events]
    sides = [[(found[group] if found else None) for found in copies] for group in (1, 2, 3)]
    src, dst = (
        [(value or NOT_RECORDED).lower() if found else None for value, found in zip(side, copies, strict=True)]
        for side in sides[1:]
    )
    return frame(
        GPU_COLUMNS,
        start=start,
        end=end,
        pid=pid,
        device=_arguments(plain, "device", -1),
        stream=_arguments(plain, "stream", -1),
        corr=corr,
        graph_node=_arguments(plain, "graph node id", 0),
        bytes=np.where((size < 0) & (owner >= 0), np.append(sizes_asked, -1)[owner], size),
        kind=pd.Categorical([kind for kind, _ in events], categories=list(GPU_KINDS)),
        name=pd.Categorical([str(event.get("name", "")) if kind == "kernel" else kind for kind, event in events]),
        direction=pd.Categorical(sides[0]),
        src=pd.Categorical(src),
        dst=pd.Categorical(dst),
        api=owner,
    )


def _ranges(events: list[Event]) -> pd.DataFrame:
    start, end = times_of(events)
    tid = np.array([thread_of(event) for event in events], dtype=np.int64)
    no = np.zeros(len(events), dtype=bool)
    names = [range_name(str(event.get("name", ""))) for event in events]
    return frame(
        RANGE_COLUMNS,
        start=start,
        end=end,
        open=no,
        moved=no,
        nested=~no,
        tid=tid,
        pid=tid >> 32,
        domain=category(np.zeros(len(events), dtype=np.int64), [""]),
        name=pd.Categorical(names),
    )
