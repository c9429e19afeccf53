"""Whole-capture tables: what blocks the host, and the copies behind it."""

from __future__ import annotations

from pathlib import Path

import vlbench.nsys

from .synthetic import Database, thread

MAIN = thread(100, 1)


def test_blocking_calls_by_class(tmp_path: Path) -> None:
    database = Database()
    database.call(0, 50, "cudaStreamSynchronize_v3020", MAIN, 1)
    database.call(50, 51, "cudaStreamWaitEvent_v3020", MAIN, 2)  # does not block the host
    database.call(51, 52, "cudaEventQuery_v3020", MAIN, 3)
    database.call(60, 90, "cudaMemcpyAsync_v3020", MAIN, 4)  # pageable, 30 ns for a copy of 2: stalled
    database.copy(70, 72, MAIN, 4, kind=2, src=2, dst=0)
    database.call(100, 104, "cudaMemcpyAsync_v3020", MAIN, 5)  # pageable, not stalled
    database.copy(101, 103, MAIN, 5, kind=2, src=2, dst=0)
    database.call(110, 140, "cudaMemcpyAsync_v3020", MAIN, 6)  # pinned: asynchronous indeed
    database.copy(111, 112, MAIN, 6, kind=1, src=1, dst=2)
    database.call(150, 159, "cudaMemcpy_v3020", MAIN, 7)
    database.copy(151, 152, MAIN, 7, kind=1, src=0, dst=2)
    database.call(170, 171, "cudaMalloc_v3020", MAIN, 8)
    database.call(180, 181, "cuModuleLoadData", MAIN, 9)
    capture = vlbench.nsys.load(database.save(tmp_path / "a.sqlite"))
    table = vlbench.nsys.sync_table(capture)
    got = {
        tuple(row) for row in table[["class", "name", "copy", "count", "ns", "gpu_ns", "stalled"]].to_numpy().tolist()
    }
    assert got == {
        ("explicit sync", "cudaStreamSynchronize", "", 1, 50, 0, 0),
        ("hidden sync", "cudaMemcpyAsync", "DtoH device>pageable", 2, 34, 4, 1),
        ("blocking copy", "cudaMemcpy", "HtoD pageable>device", 1, 9, 1, 0),
        ("allocation", "cudaMalloc", "", 1, 1, 0, 0),
        ("module load", "cuModuleLoadData", "", 1, 1, 0, 0),
    }
    assert table["ns"].is_monotonic_decreasing


def test_tables_of_an_empty_capture(tmp_path: Path) -> None:
    capture = vlbench.nsys.load(Database().save(tmp_path / "a.sqlite"))
    for table in (
        vlbench.nsys.api_table,
        vlbench.nsys.kernel_table,
        vlbench.nsys.memcpy_table,
        vlbench.nsys.sync_table,
    ):
        assert table(capture).empty


def test_kernel_and_copy_sums(tmp_path: Path) -> None:
    database = Database()
    for corr, (name, runs) in enumerate([("gemm", 10), ("gemm", 30), ("softmax", 5)]):
        database.launch(corr * 100, MAIN, corr, name=name, runs=runs)
    for corr in (10, 11):
        database.call(corr * 100, corr * 100 + 5, "cudaMemcpyAsync", MAIN, corr)
        database.copy(corr * 100, corr * 100 + 3, MAIN, corr, size=100)
    capture = vlbench.nsys.load(database.save(tmp_path / "a.sqlite"))
    kernels = vlbench.nsys.kernel_table(capture)
    assert kernels[["name", "count", "ns", "least", "most"]].to_numpy().tolist() == [
        ["gemm", 2, 40, 10, 30],
        ["softmax", 1, 5, 5, 5],
    ]
    copies = vlbench.nsys.memcpy_table(capture)
    assert copies[["direction", "src", "dst", "count", "bytes", "ns"]].to_numpy().tolist() == [
        ["HtoD", "pageable", "device", 2, 200, 6]
    ]
