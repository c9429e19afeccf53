"""The Perfetto trace holds everything on one timeline."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

import vlbench.nsys

from .synthetic import Database, thread

MAIN, OTHER = thread(100, 1), thread(200, 1)


def events(path: Path) -> list[dict[str, Any]]:
    opener: Any = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt") as file:
        document: dict[str, list[dict[str, Any]]] = json.load(file)
    return document["traceEvents"]


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_ranges_calls_and_gpu_rows_share_a_timeline(tmp_path: Path, name: str) -> None:
    database = Database()
    database.domain(1, "vlbench", MAIN)
    database.range(1000, 9000, "forward", MAIN, domain=1)
    database.range(2000, 5000, "a", MAIN, kind=60)
    database.range(3000, 6000, "b", MAIN, kind=60)
    for tid in (MAIN, OTHER):
        database.launch(1500, tid, corr=1, name="gemm", wait=1000, runs=500)
    database.call(4000, 4200, "cudaMemcpyAsync", MAIN, 2)
    database.copy(4100, 4150, MAIN, 2, size=64)
    capture = vlbench.nsys.load(database.save(tmp_path / "a.sqlite"))
    path = tmp_path / name
    count = vlbench.nsys.write_trace(capture, path)
    written = events(path)
    assert len(written) == count

    slices = {(event["name"], event["pid"]): event for event in written if event["ph"] == "X"}
    assert slices["vlbench:forward", 100]["ts"] == 0
    assert slices["vlbench:forward", 100]["dur"] == 8
    assert slices["cudaLaunchKernel", 100]["ts"] == 0.5
    device = 1 << 30
    assert slices["gemm", device]["dur"] == 0.5
    assert slices["HtoD pageable>device", device]["args"] == {"bytes": 64}
    rows = {event["tid"] for event in written if event["ph"] == "X" and event["name"] == "gemm"}
    assert len(rows) == 2  # one row per process, though the stream has one number

    flows = [event for event in written if event["ph"] in "sf"]
    assert len(flows) == 2 * len(capture.gpu_ops)
    begun = {event["id"]: event for event in flows if event["ph"] == "s"}
    assert all(event["ts"] >= begun[event["id"]]["ts"] for event in flows if event["ph"] == "f")
    overlapping = [(event["ph"], event["name"]) for event in written if event["ph"] in "be"]
    assert sorted(overlapping) == [("b", "a"), ("b", "b"), ("e", "a"), ("e", "b")]


def test_an_empty_capture_is_a_valid_trace(tmp_path: Path) -> None:
    capture = vlbench.nsys.load(Database().save(tmp_path / "a.sqlite"))
    assert vlbench.nsys.write_trace(capture, tmp_path / "t.json") == 0
    assert events(tmp_path / "t.json") == []
