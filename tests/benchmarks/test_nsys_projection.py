"""How reading and projecting a capture grows with its size.

The routine run is small. `VLBENCH_NSYS_KERNELS=5000000 pytest tests/benchmarks/test_nsys_projection.py` makes
the full size: five million kernels, as many API calls, a million ranges.
"""

from __future__ import annotations

import os
import resource
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import vlbench.nsys

KERNELS = int(os.environ.get("VLBENCH_NSYS_KERNELS", "20000"))
TID = (1 << 48) | (100 << 24) | 1
LAUNCHES_PER_STAGE, STAGES_PER_BLOCK, BLOCKS_PER_FORWARD = 6, 4, 32


def write_capture(path: Path, kernels: int) -> Path:
    """Forwards of 32 blocks of 4 stages of 6 launches; two streams, so that operations overlap."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("CREATE TABLE StringIds (id INTEGER PRIMARY KEY, value TEXT)")
        named = ["forward", "block", "attention", "mlp", "norm", "rope", "cudaLaunchKernel_v7000", "gemm", "softmax"]
        connection.executemany("INSERT INTO StringIds VALUES (?, ?)", enumerate(named))
        connection.execute("CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME (start, end, globalTid, correlationId, nameId)")
        connection.executemany("INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES (?, ?, ?, ?, ?)", _calls(kernels))
        connection.execute(
            "CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL "
            "(start, end, deviceId, streamId, correlationId, globalPid, demangledName, graphNodeId)"
        )
        connection.executemany(
            "INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (?, ?, 0, ?, ?, ?, ?, NULL)", _kernels(kernels)
        )
        connection.execute("CREATE TABLE NVTX_EVENTS (start, end, eventType, text, globalTid, textId, domainId)")
        connection.executemany("INSERT INTO NVTX_EVENTS VALUES (?, ?, 59, NULL, ?, ?, 0)", _ranges(kernels))
    connection.close()
    return path


def _calls(kernels: int) -> Iterator[tuple[int, ...]]:
    for index in range(kernels):
        yield index * 1000, index * 1000 + 600, TID, index, 6


def _kernels(kernels: int) -> Iterator[tuple[int, ...]]:
    pid = TID & ~0xFFFFFF
    for index in range(kernels):
        start = index * 1000 + 5000
        yield (start, start + (3000 if index % 48 == 0 else 900), 7 + (index % 48 == 0), index, pid, 7 + index % 2)


def _ranges(kernels: int) -> Iterator[tuple[int, ...]]:
    width = LAUNCHES_PER_STAGE
    for level in (
        LAUNCHES_PER_STAGE * STAGES_PER_BLOCK * BLOCKS_PER_FORWARD,
        LAUNCHES_PER_STAGE * STAGES_PER_BLOCK,
        width,
    ):
        for number, first in enumerate(range(0, kernels, level)):
            name = {width: 2 + number % STAGES_PER_BLOCK, width * STAGES_PER_BLOCK: 1}.get(level, 0)
            yield first * 1000 - 10, (first + level) * 1000 - 50, TID, name


@pytest.fixture(scope="module")
def capture_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_capture(tmp_path_factory.mktemp("nsys") / "big.sqlite", KERNELS)


def test_read_and_project(benchmark: pytest.FixtureRequest, capture_file: Path) -> None:
    table = benchmark.pedantic(lambda: vlbench.nsys.per_range(vlbench.nsys.load(capture_file)), rounds=1)
    benchmark.extra_info["kernels"] = KERNELS
    benchmark.extra_info["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    assert table.loc[":forward", "kernels"] == KERNELS
    assert table.loc[":forward", "work_ns"] == int(np.sum([end - start for start, end, *_ in _kernels(KERNELS)]))
    stages = table.loc[[":attention", ":mlp", ":norm", ":rope"]]
    assert stages["self_kernels"].sum() == KERNELS
