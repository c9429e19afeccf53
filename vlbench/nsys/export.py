"""Read an SQLite export of Nsight Systems, any schema from 2022 to 2026.4, into the frames of a `Capture`."""

import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd

from vlbench.errors import UsageError
from vlbench.nsys import tables
from vlbench.nsys.frames import API_COLUMNS, GPU_COLUMNS, GPU_KINDS, RANGE_COLUMNS, Capture, category, frame, match
from vlbench.nsys.names import DIRECTIONS, FAMILIES, MEMORY_KINDS, NOT_RECORDED, api_name, family, range_name

RUNTIME, KERNEL, MEMCPY, MEMSET, GRAPH = (
    f"CUPTI_ACTIVITY_KIND_{kind}" for kind in ("RUNTIME", "KERNEL", "MEMCPY", "MEMSET", "GRAPH_TRACE")
)
NVTX = "NVTX_EVENTS"

_RANGE_EVENTS = (59, 60, 70, 71)  # push/pop, start/end, and both as imported from nvtxt files
_NESTED_EVENTS = (59, 70)
_DOMAIN_EVENT = 75
_ABSENT = -(2**62)  # stands for NULL in a time or id column
_THREAD_BITS = 0xFFFFFF
_DOMAIN_BITS = 40
_TIMES = {"start": 0, "end": _ABSENT}
_PLACE = {"deviceId": -1, "streamId": -1, "correlationId": -1, "globalPid": _ABSENT, "graphNodeId": 0}


def read_export(path: Path) -> Capture:
    """Read the export at `path`.

    Raises UsageError where the file is an SQLite database but not an export of Nsight Systems.
    """
    with tables.opened(path) as connection:
        present = tables.names(connection)
        if not present & {RUNTIME, KERNEL, NVTX, "META_DATA_EXPORT", "EXPORT_META_DATA", "StringIds"}:
            raise UsageError(
                f"{path}: an SQLite file, but none of the tables of an nsys export is in it; "
                "make one with `nsys export --type=sqlite REPORT.nsys-rep`"
            )
        strings = {key: str(value) for key, value in tables.numbered(connection, "StringIds", "id", "value")}
        api = _api(connection, strings)
        gpu_ops, notes = _gpu_ops(connection, strings, api)
        ranges = _ranges(connection, strings, api, gpu_ops)
        return Capture(
            path=str(path),
            source="nsys",
            ranges=ranges,
            api=api,
            gpu_ops=gpu_ops,
            meta=_meta(connection),
            gpus=tuple(str(name) for _, name in tables.numbered(connection, "TARGET_INFO_GPU", "id", "name")),
            diagnostics=tuple(
                (severity, str(text))
                for severity, text in tables.numbered(connection, "DIAGNOSTIC_EVENT", "severity", "text")
            ),
            missing=tuple(name for name in (RUNTIME, KERNEL, MEMCPY, MEMSET, GRAPH, NVTX) if name not in present),
            notes=tuple(notes),
            other_events=tables.rows(connection, NVTX) - len(ranges),
            thread_names={
                tid: strings.get(name, "")
                for tid, name in tables.numbered(connection, "ThreadNames", "globalTid", "nameId")
            },
        )


def _meta(connection: sqlite3.Connection) -> dict[str, str]:
    return {
        name: value
        for table in ("EXPORT_META_DATA", "META_DATA_EXPORT", "META_DATA_CAPTURE")
        for name, value in tables.pairs(connection, table, "name", "value")
    }


def _ends(raw: dict[str, np.ndarray], what: str) -> np.ndarray:
    """When each ended: where that was not recorded, when it began."""
    ends: np.ndarray = np.maximum(raw["end"], raw["start"])
    if ((raw["end"] < ends) & (raw["end"] != _ABSENT)).any():
        raise tables.WrongTypeError(f"{what} ends before it begins")
    return ends


def _named(ids: np.ndarray, known: dict[int, str], otherwise: str = "string") -> tuple[np.ndarray, list[str]]:
    codes, unique = pd.factorize(ids)
    return codes, [known.get(int(value), f"{otherwise} {value}") for value in unique]


def _api(connection: sqlite3.Connection, strings: dict[int, str]) -> pd.DataFrame:
    wanted = {"start": 0, "end": _ABSENT, "globalTid": 0, "correlationId": -1, "nameId": -1}
    raw = tables.integers(connection, RUNTIME, wanted)
    codes, recorded = _named(raw["nameId"], strings)
    names = [api_name(name) for name in recorded]
    families = np.array([FAMILIES.index(family(name)) for name in names], dtype=np.int8)
    return frame(
        API_COLUMNS,
        start=raw["start"],
        end=_ends(raw, "a CUDA call"),
        tid=raw["globalTid"],
        pid=raw["globalTid"] & ~_THREAD_BITS,
        corr=raw["correlationId"],
        name=category(codes, names),
        family=pd.Categorical.from_codes(
            families[codes] if names else np.empty(0, np.int8), categories=pd.Index(FAMILIES)
        ),
    )


def _gpu_ops(
    connection: sqlite3.Connection, strings: dict[int, str], api: pd.DataFrame
) -> tuple[pd.DataFrame, list[str]]:
    extra = {"bytes": -1, "copyKind": 0, "srcKind": -1, "dstKind": -1, "demangledName": -1, "shortName": -1}
    raw = [tables.integers(connection, table, _TIMES | _PLACE | extra) for table in (KERNEL, MEMCPY, MEMSET, GRAPH)]
    sizes = [part["start"].size for part in raw]
    joined = {name: np.concatenate([part[name] for part in raw]) for name in raw[0]}
    kind = np.repeat(np.arange(4, dtype=np.int8), sizes)
    copies = kind == GPU_KINDS.index("memcpy")

    notes = []
    pid = joined["globalPid"]
    orphans = pid == _ABSENT
    if orphans.any():
        pids = np.unique(api["pid"].to_numpy())
        if pids.size == 1:
            pid = np.where(orphans, pids[0], pid)
        else:
            notes.append(
                f"{int(orphans.sum())} GPU operations do not name their process and {pids.size} processes "
                "have API calls: they are not attributed to any range"
            )
    ids = np.where(joined["demangledName"] >= 0, joined["demangledName"], joined["shortName"])
    codes, names = _named(ids[kind == 0], strings)
    codes = np.concatenate([codes, np.repeat(np.arange(1, 4) + len(names) - 1, sizes[1:])])
    return frame(
        GPU_COLUMNS,
        start=joined["start"],
        end=_ends(joined, "a GPU operation"),
        pid=pid,
        device=joined["deviceId"],
        stream=joined["streamId"],
        corr=joined["correlationId"],
        graph_node=joined["graphNodeId"],
        bytes=np.where(kind == 0, 0, joined["bytes"]),
        kind=pd.Categorical.from_codes(kind, categories=pd.Index(GPU_KINDS)),
        name=category(codes, [*names, *GPU_KINDS[1:]]),
        direction=_labels(joined["copyKind"], DIRECTIONS, copies),
        src=_labels(joined["srcKind"], _memory_kinds(connection), copies),
        dst=_labels(joined["dstKind"], _memory_kinds(connection), copies),
        api=match(api, pid, joined["correlationId"]),
    ), notes


def _memory_kinds(connection: sqlite3.Connection) -> dict[int, str]:
    named = tables.numbered(connection, "ENUM_CUDA_MEM_KIND", "id", "label")
    return MEMORY_KINDS | {key: str(label).lower() for key, label in named} | {-1: NOT_RECORDED}


def _labels(values: np.ndarray, labels: dict[int, str], where: np.ndarray) -> pd.Categorical:
    codes, names = _named(values, labels, "kind")
    return category(np.where(where, codes, -1), names)


def _ranges(
    connection: sqlite3.Connection, strings: dict[int, str], api: pd.DataFrame, gpu_ops: pd.DataFrame
) -> pd.DataFrame:
    has = tables.columns(connection, NVTX)
    if "eventType" not in has:
        return frame(RANGE_COLUMNS)
    wanted = {"start": 0, "end": _ABSENT, "eventType": 0, "globalTid": 0, "endGlobalTid": _ABSENT, "domainId": 0}
    where = f"WHERE eventType IN ({', '.join(map(str, _RANGE_EVENTS))})"
    raw = tables.integers(connection, NVTX, wanted, where)
    text = "COALESCE(" + ", ".join([name for name in ("text", "textId") if name in has] + ["''"]) + ", '')"
    read = [row[0] for row in connection.execute(f"SELECT {text} FROM {NVTX} {where} ORDER BY rowid")]
    codes, unique = pd.factorize(np.array(read, dtype=object))
    names = [
        range_name(strings.get(value, "") if isinstance(value, int) else tables.text(value, NVTX)) for value in unique
    ]

    is_open = raw["end"] == _ABSENT
    ends = [np.where(is_open, raw["start"], raw["end"]), api["end"].to_numpy(), gpu_ops["end"].to_numpy()]
    last = max((int(values.max()) for values in ends if values.size), default=0)
    pid = raw["globalTid"] & ~_THREAD_BITS
    return frame(
        RANGE_COLUMNS,
        start=raw["start"],
        end=np.where(is_open, last, raw["end"]),
        open=is_open,
        moved=(raw["endGlobalTid"] != _ABSENT) & (raw["endGlobalTid"] != raw["globalTid"]),
        nested=np.isin(raw["eventType"], _NESTED_EVENTS),
        tid=raw["globalTid"],
        pid=pid,
        domain=_domains(connection, strings, pid, raw["domainId"]),
        name=category(codes, names),
    )


def _domains(
    connection: sqlite3.Connection, strings: dict[int, str], pid: np.ndarray, domain: np.ndarray
) -> pd.Categorical:
    has = tables.columns(connection, NVTX)
    listed = ", ".join(name if name in has else "NULL" for name in ("globalTid", "domainId", "text", "textId"))
    numbers = f"typeof(globalTid) = 'integer' AND eventType = {_DOMAIN_EVENT}"
    named = {
        (row[0] & ~_THREAD_BITS, row[1]): tables.text(row[2] or strings.get(row[3], ""), NVTX)
        for row in (connection.execute(f"SELECT {listed} FROM {NVTX} WHERE {numbers}") if "globalTid" in has else ())
    }
    if domain.size and not 0 <= domain.min() <= domain.max() < 1 << _DOMAIN_BITS:
        raise tables.WrongTypeError(f"table {NVTX} holds a domain that no range has")
    process, processes = pd.factorize(pid)
    codes, unique = pd.factorize((process.astype(np.int64) << _DOMAIN_BITS) | domain)
    # A domain whose creation was not recorded is shown as nsys shows it: without a name.
    keys = [(int(processes[value >> _DOMAIN_BITS]), value & ((1 << _DOMAIN_BITS) - 1)) for value in unique.tolist()]
    return category(codes, [named.get(key, "") for key in keys])
