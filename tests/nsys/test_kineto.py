"""Torch profiler traces give the same tables as nsys exports."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

import vlbench.nsys
from vlbench.comparing.captured import captured_cell, judge_difference
from vlbench.errors import UsageError
from vlbench.judging.exit_codes import ExitCode
from vlbench.nsys.kineto import _nanoseconds

Event = dict[str, Any]


def api(ts: object, dur: object, name: str, corr: int, tid: int = 7) -> Event:
    return {
        "ph": "X",
        "cat": "cuda_runtime",
        "name": name,
        "pid": 7,
        "tid": tid,
        "ts": ts,
        "dur": dur,
        "args": {"correlation": corr},
    }


def gpu(cat: str, ts: object, dur: object, name: str, corr: int, **args: object) -> Event:
    args |= {"correlation": corr, "device": 0, "stream": 7}
    return {"ph": "X", "cat": cat, "name": name, "pid": 0, "tid": 7, "ts": ts, "dur": dur, "args": args}


def annotation(ts: object, dur: object, name: str) -> Event:
    return {"ph": "X", "cat": "user_annotation", "name": name, "pid": 7, "tid": 7, "ts": ts, "dur": dur, "args": {}}


def trace() -> Event:
    base = 1712195495505543
    return {
        "deviceProperties": [{"id": 0, "name": "NVIDIA H200"}],
        "traceEvents": [
            {"ph": "M", "name": "process_name", "pid": 7, "args": {"name": "python"}},
            annotation(base, 100, "ProfilerStep#3"),
            annotation(base + 1, 50.25, "forward"),
            api(base + 2, 3.5, "cudaLaunchKernel", 11),
            gpu("kernel", base + 20, 4.125, "gemm", 11),
            api(base + 10, 30, "cudaMemcpyAsync", 12),
            gpu("gpu_memcpy", base + 25, 1, "Memcpy DtoH (Device -> Pageable)", 12, bytes=8),
            api(base + 41, 2, "cudaStreamSynchronize", 13),
            api(base + 60, 2, "cudaMemsetAsync", 14),
            gpu("gpu_memset", base + 70, 1, "Memset (Device)", 14, bytes=64),
        ],
    }


@pytest.mark.parametrize("event", [2, 3, 4])
@pytest.mark.parametrize(("field", "value"), [("dur", -1), ("dur", -0.001), ("ts", -1), ("ts", 5e15), ("dur", 1e300)])
def test_a_time_that_no_clock_shows_is_damage(tmp_path: Path, event: int, field: str, value: float) -> None:
    """A range of no length would hold nothing, and nothing in it would be an improvement."""
    document = trace()
    document["traceEvents"][event][field] = value
    path = tmp_path / "trace.json"
    path.write_text(json.dumps(document))
    with pytest.raises(UsageError, match=r"a time or length that no clock shows|unexpected form"):
        vlbench.nsys.load(path)


def test_a_range_of_no_length_is_named_and_no_improvement(tmp_path: Path) -> None:
    paths = tmp_path / "whole.json", tmp_path / "empty.json"
    for path, length in zip(paths, (50.25, 0), strict=True):
        document = trace()
        document["traceEvents"][2]["dur"] = length
        path.write_text(json.dumps(document))
    whole, empty = map(vlbench.nsys.load, paths)
    assert judge_difference(vlbench.nsys.diff(whole, whole), "a", "b").exit_code == ExitCode.OK
    judged = judge_difference(vlbench.nsys.diff(whole, empty), "a", "b")
    assert judged.exit_code == ExitCode.MISSING
    assert judged.rows[0].reason == f"{paths[1]}: 1 range of no length or less, in which nothing can lie"
    with pytest.raises(UsageError, match=r"empty\.json: 1 range of no length or less, .* its counts are no evidence"):
        captured_cell(paths[1])


@pytest.mark.parametrize("suffix", [".json", ".json.gz"])
@pytest.mark.parametrize("bare", [False, True])
def test_a_trace_reads_into_the_same_tables(tmp_path: Path, suffix: str, bare: bool) -> None:
    path = tmp_path / f"trace{suffix}"
    document = trace()["traceEvents"] if bare else trace()
    raw = json.dumps(document).encode()
    path.write_bytes(gzip.compress(raw) if suffix.endswith("gz") else raw)
    capture = vlbench.nsys.load(path)
    table = vlbench.nsys.per_range(capture)
    forward = table.loc[":forward"]
    assert (forward["launches"], forward["kernels"], forward["syncs"], forward["hidden_syncs"]) == (1, 1, 1, 1)
    assert (forward["work_ns"], forward["range_ns"], forward["first_launch_ns"]) == (5125, 50250, 1000)
    assert (forward["copies[DtoH device>pageable]"], forward["bytes[DtoH device>pageable]"]) == (1, 8)
    assert table.loc[":ProfilerStep", ["instances", "memsets"]].to_list() == [1, 1]
    assert capture.gpus == (() if bare else ("NVIDIA H200",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1712195495505543.217", 1712195495505543217),
        ("12", 12000),
        ("0.0004", 0),
        ("0.0005", 1),
        ("-1.5", -1500),
        ("1e3", 1_000_000),
    ],
)
def test_times_keep_their_nanoseconds(text: str, expected: int) -> None:
    assert _nanoseconds(text) == expected


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{}", "without a traceEvents list"),
        (b'{"traceEvents": []}', "no CUDA call"),
        (b'{"traceEvents": [', "not valid JSON"),
        (b"\x1f\x8b\x08\x00 damaged", "gzip file is damaged"),
        (b'[{"ph": "X", "cat": "kernel", "name": "k", "ts": "soon"}]', "unexpected form"),
    ],
)
def test_what_is_no_trace_is_refused_with_a_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "trace.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=says) as error:
        vlbench.nsys.load(path)
    assert str(path) in str(error.value)


TRACES = {
    "event_sync_trace.json.gz": (1, 4, 5),
    "sampled_rank-0.json.gz": (73, 1154, 1204),
    "rank-0.Apr_03_18_51_38.1102.pt.trace.json.gz": (70, 4350, 6095),
    "benchmark_result_2869224_1695835535_trace.json.gz": (8, 79, 98),
    "benchmark_result_493459_1694039959_trace.json.gz": (8, 79, 98),
    "benchmark_result_924719_1679055439_trace.json.gz": (8, 0, 0),
}


@pytest.mark.parametrize("name", TRACES)
def test_public_traces_load(public_captures: Path, name: str) -> None:
    capture = vlbench.nsys.load(public_captures / "kineto" / name)
    ranges, kernels, operations = TRACES[name]
    assert len(capture.ranges) == ranges
    assert (capture.gpu_ops["kind"] == "kernel").sum() == kernels
    assert len(capture.gpu_ops) == operations
    assert (capture.gpu_ops["api"] >= 0).all()
    assert len(vlbench.nsys.per_range(capture)) > 0


def test_a_trace_of_this_torch_loads(tmp_path: Path) -> None:
    """Without a GPU there are ranges and nothing else: GPU times are absent, not zero work."""
    import torch
    from torch.profiler import ProfilerActivity, profile, record_function

    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(3):
            with record_function("forward"):
                torch.ones(4).add(1)
    path = tmp_path / "trace.json"
    profiler.export_chrome_trace(str(path))
    capture = vlbench.nsys.load(path)
    table = vlbench.nsys.per_range(capture)
    assert table.loc[":forward", "instances"] == 3
    assert table.loc[":forward", "range_ns"] > 0
    assert {"kernel", "cuda_runtime"} <= set(capture.missing)
