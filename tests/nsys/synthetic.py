"""Build small databases with the tables and columns that Nsight Systems writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vlbench.nsys.names import MEMORY_KINDS

_GPU = "start end deviceId contextId streamId correlationId globalPid"
_COLUMNS = {
    "StringIds": "id value:TEXT",
    "META_DATA_EXPORT": "name:TEXT value:TEXT",
    "META_DATA_CAPTURE": "name:TEXT value:TEXT",
    "ENUM_CUDA_MEM_KIND": "id name:TEXT label:TEXT",
    "TARGET_INFO_GPU": "id name:TEXT smCount",
    "DIAGNOSTIC_EVENT": "timestamp timestampType source severity text:TEXT globalPid",
    "ThreadNames": "nameId priority globalTid",
    "NVTX_EVENTS": "start end eventType rangeId category text:TEXT globalTid endGlobalTid textId domainId",
    "CUPTI_ACTIVITY_KIND_RUNTIME": "start end eventClass globalTid correlationId nameId returnValue",
    "CUPTI_ACTIVITY_KIND_KERNEL": f"{_GPU} demangledName shortName graphNodeId",
    "CUPTI_ACTIVITY_KIND_MEMCPY": f"{_GPU} bytes copyKind srcKind dstKind graphNodeId",
    "CUPTI_ACTIVITY_KIND_MEMSET": f"{_GPU} value bytes memKind graphNodeId",
    "CUPTI_ACTIVITY_KIND_GRAPH_TRACE": f"{_GPU} graphId graphExecId",
}
SCHEMA = {  # table -> {column: type}
    table: {name.partition(":")[0]: name.partition(":")[2] or "INTEGER" for name in listed.split()}
    for table, listed in _COLUMNS.items()
}


def thread(pid: int, tid: int) -> int:
    """A globalTid as nsys makes it."""
    return (1 << 48) | (pid << 24) | tid


def process(tid: int) -> int:
    """The globalPid of a globalTid."""
    return tid & ~0xFFFFFF


class Database:
    """Collects rows, then writes them with `save`."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {table: [] for table in SCHEMA}
        self._strings: dict[str, int] = {}
        for index, label in MEMORY_KINDS.items():
            self.add("ENUM_CUDA_MEM_KIND", id=index, name=f"CUDA_MEMOPR_MEMORY_KIND_{label}", label=label.title())
        self.add("META_DATA_EXPORT", name="EXPORT_SCHEMA_VERSION", value="3.25.0")
        self.add("META_DATA_EXPORT", name="EXPORT_PRODUCT_VERSION", value="2026.2.1.210")

    def add(self, table: str, **values: Any) -> None:
        self.rows[table].append(values)

    def string(self, value: str) -> int:
        if value not in self._strings:
            self._strings[value] = len(self._strings)
            self.add("StringIds", id=self._strings[value], value=value)
        return self._strings[value]

    def range(
        self,
        start: int,
        end: int | None,
        name: str,
        tid: int,
        *,
        domain: int = 0,
        registered: bool = False,
        kind: int = 59,
        end_tid: int | None = None,
    ) -> None:
        text = {"textId": self.string(name)} if registered else {"text": name}
        self.add(
            "NVTX_EVENTS",
            start=start,
            end=end,
            eventType=kind,
            globalTid=tid,
            endGlobalTid=end_tid,
            domainId=domain,
            **text,
        )

    def domain(self, number: int, name: str, tid: int) -> None:
        self.add("NVTX_EVENTS", start=0, eventType=75, globalTid=tid, domainId=number, text=name)

    def call(self, start: int, end: int, name: str, tid: int, corr: int) -> None:
        self.add(
            "CUPTI_ACTIVITY_KIND_RUNTIME",
            start=start, end=end, eventClass=0, globalTid=tid, correlationId=corr,
            nameId=self.string(name), returnValue=0,
        )  # fmt: skip

    def kernel(
        self, start: int, end: int, name: str, tid: int, corr: int, *, stream: int = 7, node: int | None = None
    ) -> None:
        self.add(
            "CUPTI_ACTIVITY_KIND_KERNEL",
            start=start, end=end, deviceId=0, streamId=stream, correlationId=corr, globalPid=process(tid),
            demangledName=self.string(name), shortName=self.string(name), graphNodeId=node,
        )  # fmt: skip

    def copy(
        self, start: int, end: int, tid: int, corr: int, *, kind: int = 1, src: int = 0, dst: int = 2, size: int = 64
    ) -> None:
        self.add(
            "CUPTI_ACTIVITY_KIND_MEMCPY",
            start=start, end=end, deviceId=0, streamId=7, correlationId=corr, globalPid=process(tid),
            bytes=size, copyKind=kind, srcKind=src, dstKind=dst,
        )  # fmt: skip

    def graph(self, start: int, end: int, tid: int, corr: int) -> None:
        self.add(
            "CUPTI_ACTIVITY_KIND_GRAPH_TRACE",
            start=start, end=end, deviceId=0, streamId=7, correlationId=corr, globalPid=process(tid),
            graphId=1, graphExecId=2,
        )  # fmt: skip

    def launch(self, at: int, tid: int, corr: int, *, name: str = "gemm", wait: int = 10, runs: int = 20) -> int:
        """A cudaLaunchKernel of 5 ns at `at`; its kernel runs `runs` ns, `wait` ns later. Returns the end."""
        self.call(at, at + 5, "cudaLaunchKernel_v7000", tid, corr)
        self.kernel(at + wait, at + wait + runs, name, tid, corr)
        return at + 5

    def save(self, path: Path, *, without: Sequence[str] = (), drop: dict[str, Sequence[str]] | None = None) -> Path:
        """Write the database; `without` leaves tables out, `drop` leaves out columns of a table."""
        with sqlite3.connect(path) as connection:
            for table, columns in SCHEMA.items():
                if table in without:
                    continue
                names = [name for name in columns if name not in (drop or {}).get(table, ())]
                connection.execute(f"CREATE TABLE {table} ({', '.join(f'{n} {columns[n]}' for n in names)})")
                connection.executemany(
                    f"INSERT INTO {table} VALUES ({', '.join('?' * len(names))})",
                    [[row.get(name) for name in names] for row in self.rows[table]],
                )
        connection.close()
        return path
