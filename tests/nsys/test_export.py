"""Exports of every age: missing tables and columns, old metadata, text that is not UTF-8."""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path

import pytest

import vlbench.nsys
from vlbench.errors import UsageError

from .synthetic import SCHEMA, Database, process, thread

MAIN, OTHER = thread(100, 1), thread(200, 1)


def small() -> Database:
    database = Database()
    database.range(0, 100, "forward", MAIN)
    database.launch(10, MAIN, corr=1)
    database.call(30, 60, "cudaMemcpyAsync_v3020", MAIN, 2)
    database.copy(40, 45, MAIN, 2)
    return database


@pytest.mark.parametrize("table", [name for name in SCHEMA if name not in ("StringIds", "META_DATA_EXPORT")])
def test_any_table_may_be_missing(tmp_path: Path, table: str) -> None:
    capture = vlbench.nsys.load(small().save(tmp_path / "a.sqlite", without=[table]))
    ranges = vlbench.nsys.per_range(capture)
    assert len(ranges) == (table != "NVTX_EVENTS")
    assert (table in capture.missing) == table.startswith(("CUPTI", "NVTX"))
    if table in ("ENUM_CUDA_MEM_KIND", "META_DATA_CAPTURE", "TARGET_INFO_GPU"):
        assert ranges.loc[":forward", "copies[HtoD pageable>device]"] == 1  # the constants stand in for the table


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("NVTX_EVENTS", "textId"),
        ("NVTX_EVENTS", "endGlobalTid"),
        ("NVTX_EVENTS", "domainId"),
        ("CUPTI_ACTIVITY_KIND_RUNTIME", "eventClass"),
        ("CUPTI_ACTIVITY_KIND_KERNEL", "graphNodeId"),
        ("CUPTI_ACTIVITY_KIND_KERNEL", "demangledName"),
        ("CUPTI_ACTIVITY_KIND_KERNEL", "globalPid"),
        ("CUPTI_ACTIVITY_KIND_KERNEL", "streamId"),
    ],
)
def test_any_column_may_be_missing(tmp_path: Path, table: str, column: str) -> None:
    capture = vlbench.nsys.load(small().save(tmp_path / "a.sqlite", drop={table: [column]}))
    assert vlbench.nsys.per_range(capture).loc[":forward", ["kernels", "memcpys"]].to_list() == [1, 1]
    assert capture.gpu_ops["name"].iloc[0] == "gemm"


def test_missing_memory_kinds_are_not_recorded(tmp_path: Path) -> None:
    drop = {"CUPTI_ACTIVITY_KIND_MEMCPY": ["srcKind", "dstKind"]}
    capture = vlbench.nsys.load(small().save(tmp_path / "a.sqlite", drop=drop))
    row = vlbench.nsys.memcpy_table(capture).iloc[0]
    assert (row["direction"], row["src"], row["dst"]) == ("HtoD", "not recorded", "not recorded")
    assert math.isnan(vlbench.nsys.per_range(capture).loc[":forward", "hidden_syncs"])  # nobody can say


def test_operations_without_process_are_not_guessed_among_two(tmp_path: Path) -> None:
    database = small()
    database.launch(10, OTHER, corr=1)
    drop = {"CUPTI_ACTIVITY_KIND_KERNEL": ["globalPid"]}
    capture = vlbench.nsys.load(database.save(tmp_path / "a.sqlite", drop=drop))
    assert vlbench.nsys.per_range(capture).loc[":forward", "kernels"] == 0
    assert vlbench.nsys.coverage(capture)["no_api_row"] == 2
    assert "do not name their process" in capture.notes[0]


def test_text_in_another_encoding(tmp_path: Path) -> None:
    path = small().save(tmp_path / "a.sqlite")
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO DIAGNOSTIC_EVENT (severity, text) VALUES (2, CAST(X'B2E2CAD4' AS TEXT))")
        connection.execute("UPDATE NVTX_EVENTS SET text = CAST(X'66FF' AS TEXT)")
    connection.close()
    capture = vlbench.nsys.load(path)
    assert capture.ranges["name"].to_list() == ["f\ufffd"]
    assert capture.diagnostics[0][0] == 2


def test_old_metadata_table(tmp_path: Path) -> None:
    path = small().save(tmp_path / "a.sqlite", without=["META_DATA_EXPORT"])
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE EXPORT_META_DATA (name TEXT, value TEXT)")
        connection.execute("INSERT INTO EXPORT_META_DATA VALUES ('EXPORT_SCHEMA_VERSION', '3.1.2')")
    connection.close()
    assert "schema 3.1.2" in vlbench.nsys.load(path).version


def test_domains_belong_to_their_process(tmp_path: Path) -> None:
    database = Database()
    database.domain(1, "vlbench", MAIN)
    database.domain(1, "CCCL", OTHER)
    for tid in (MAIN, OTHER):
        database.range(0, 10, "forward", tid, domain=1)
    capture = vlbench.nsys.load(database.save(tmp_path / "a.sqlite"))
    assert list(vlbench.nsys.per_range(capture).index) == ["vlbench:forward", "CCCL:forward"]


def test_negative_times_and_signed_ids(tmp_path: Path) -> None:
    database = Database()
    tid = -144115188075855872 + (5 << 24) + 3
    database.range(-500, -100, "forward", tid)
    database.launch(-400, tid, corr=1)
    capture = vlbench.nsys.load(database.save(tmp_path / "a.sqlite"))
    assert vlbench.nsys.per_range(capture).loc[":forward", "kernels"] == 1
    assert capture.api["pid"].iloc[0] == process(tid)


def test_a_value_that_is_no_integer_is_refused_by_table(tmp_path: Path) -> None:
    path = small().save(tmp_path / "a.sqlite")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE CUPTI_ACTIVITY_KIND_KERNEL SET streamId = 'seven'")
    connection.close()
    with pytest.raises(
        UsageError, match=r"a\.sqlite: table CUPTI_ACTIVITY_KIND_KERNEL holds a value that is not an integer"
    ):
        vlbench.nsys.load(path)


def test_capture_settings(tmp_path: Path) -> None:
    database = small()
    database.add("META_DATA_CAPTURE", name="PROCESS_0:CUDA_SKIP_SOME_API_CALLS", value="true")
    database.add("TARGET_INFO_GPU", id=0, name="NVIDIA H200")
    capture = vlbench.nsys.load(database.save(tmp_path / "a.sqlite"))
    assert capture.fact("CUDA_SKIP_SOME_API_CALLS") == "true"
    assert capture.fact("CUDA_GRAPH_TRACE_OPTIONS:MODE") == ""
    assert capture.gpus == ("NVIDIA H200",)
