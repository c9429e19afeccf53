"""Reads what a GPU did in one forward out of a trace of the torch profiler (Chrome's format, shapes recorded).

A kernel carries the external id of the operation that launched it. Operations nest: `aten::linear` calls
`aten::addmm`. A kernel belongs to the outermost operation that the counting device counts, so that both count alike.
"""

import re
from collections import Counter as Multiset
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from math import prod
from typing import Any

from vlbench.counting_device.counter import size_class
from vlbench.nsys.names import DTYPES

FORWARD = "vlbench.forward"
"""The annotation around the forward; what lies outside is the profiler's own."""
SYNC_CALLS = re.compile(r"cuda(Device|Stream|Event)Synchronize|cu(Ctx|Stream|Event)Synchronize|cudaMemcpy(_|$)")
Event = dict[str, Any]
KindKey = tuple[str, str, int]
"""Operation without overload, dtype, size class: as `Kind` of the counting device."""


@dataclass
class Work:
    """What one call of an operation was on the GPU."""

    kind: KindKey
    kernels: int = 0
    memcpys: int = 0
    memsets: int = 0

    def is_any(self) -> bool:
        """Was there any? A call on tensors of the host, which a trace does not tell from others, has none."""
        return bool(self.kernels or self.memcpys or self.memsets)


@dataclass
class Observed:
    """What the GPU did in a forward."""

    calls: list[Work] = field(default_factory=list)
    """Of counted operations, by their names: some are on tensors of the host."""
    unattributed: Multiset[str] = field(default_factory=Multiset)
    """Kernels outside of counted operations, by the operation they were launched in."""
    kernels: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    """Syncs and copies over the bus, named as in the counting device's tally."""


def observe(events: Iterable[Event], counted: Collection[str]) -> Observed:
    """What lies inside the annotated forward; `counted` are the names of operations that the counting device counts.

    Raises ValueError where no forward is annotated.
    """
    complete = [event for event in events if event.get("ph") == "X"]
    forward = next((e for e in complete if e.get("name") == FORWARD and e.get("cat") == "user_annotation"), None)
    if forward is None:
        raise ValueError(f"the trace has no annotation {FORWARD!r}")
    start, stop = _span(forward)
    inside = [e for e in complete if start <= _span(e)[0] <= stop]
    operations = [e for e in inside if e.get("cat") == "cpu_op"]
    found = Observed()
    owners, names = _owners(operations, counted, found.calls)
    known = names.keys() | {_external(forward)}
    # GPU work runs later than it is asked for, so it belongs to the forward by its id and not by its time.
    for event in complete:
        category = event.get("cat")
        if category in ("kernel", "gpu_memcpy", "gpu_memset") and _external(event) in known:
            _add_work(found, event, owners.get(_external(event)), names.get(_external(event), "(no operation)"))
    found.counters["host_syncs"] = sum(
        e.get("cat") in ("cuda_runtime", "cuda_driver") and SYNC_CALLS.match(str(e["name"])) is not None for e in inside
    )
    return found


def _owners(
    operations: list[Event], counted: Collection[str], calls: list[Work]
) -> tuple[dict[int, Work], dict[int, str]]:
    """By external id: the outermost counted operation around each operation, and its own name."""
    owners: dict[int, Work] = {}
    names: dict[int, str] = {}
    open_operations: dict[Any, list[tuple[Decimal, Work | None]]] = {}
    for event in sorted(operations, key=lambda e: (_span(e)[0], -_span(e)[1])):
        start, stop = _span(event)
        stack = open_operations.setdefault(event.get("tid"), [])
        while stack and stack[-1][0] <= start:
            stack.pop()
        owner = stack[-1][1] if stack else None
        if owner is None and event["name"] in counted:
            owner = Work(_kind(event))
            calls.append(owner)
        stack.append((stop, owner))
        names[_external(event)] = event["name"]
        if owner is not None:
            owners[_external(event)] = owner
    return owners, names


def _add_work(found: Observed, event: Event, owner: Work | None, name: str) -> None:
    if event["cat"] == "gpu_memcpy":
        size = int(event["args"].get("bytes", 0))
        for mark, copies, volume in (("HtoD", "uploads", "upload_bytes"), ("DtoH", "read_backs", "read_back_bytes")):
            if mark in event["name"]:
                found.counters[copies] = found.counters.get(copies, 0) + 1
                found.counters[volume] = found.counters.get(volume, 0) + size
                return
        if owner is not None:
            owner.memcpys += 1
    elif event["cat"] == "gpu_memset":
        if owner is not None:
            owner.memsets += 1
    else:
        found.kernels += 1
        if owner is None:
            found.unattributed[name] += 1
        else:
            owner.kernels += 1


def _span(event: Event) -> tuple[Decimal, Decimal]:
    start = Decimal(str(event["ts"]))  # 16 digits and a fraction, more than a double holds
    return start, start + Decimal(str(event.get("dur", 0)))


def _external(event: Event) -> int:
    return int((event.get("args") or {}).get("External id", -1))


def _kind(event: Event) -> KindKey:
    arguments = event.get("args") or {}
    dtype, largest = "", 0
    for name, dims in zip(arguments.get("Input type", ()), arguments.get("Input Dims", ()), strict=False):
        if name == "TensorList":
            dtype = dtype or "list"
            largest = max(largest, *(prod(each) for each in dims), 0)
        elif name in DTYPES:
            dtype = dtype or DTYPES[name]
            largest = max(largest, prod(dims))
    return event["name"], dtype or "none", size_class(largest)
