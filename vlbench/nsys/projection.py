"""Project GPU work onto the ranges that asked for it: one row of exact counts and times per range instance.

A GPU operation belongs to a range when the API call that launched it lies inside the range, wholly and on the same
thread; it counts for every enclosing range. These are the documented semantics of nsys' own projection. Three
times are kept apart: work (sum of durations), span (first start to last end, NVIDIA's number) and busy
(length of the union).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from vlbench.nsys.frames import Capture, copy_kinds
from vlbench.nsys.measured import unmeasured
from vlbench.nsys.slices import busy, by_group, lanes, minimum, parents, prefix

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

# Counters that are sums over API calls of one family: (column, family); each has a `<column>_ns` beside it.
CALLS = {"syncs": "sync", "blocking_copies": "copy_blocking", "allocs": "alloc", "module_loads": "module_load"}
OPERATIONS = {"kernels": "kernel", "memcpys": "memcpy", "memsets": "memset", "graphs": "graph"}
"""Counters of GPU operations of one kind: (column, kind)."""
# Exact counts, whatever the machine's speed; `copies[..]` and `bytes[..]` per kind of copy come on top.
COUNTS = ("launches", "graph_launches", *OPERATIONS, *CALLS, "hidden_syncs")


@dataclass
class Layout:
    """Which API calls and GPU operations each range holds, as slices of calls in lane order."""

    calls: Ints  # API rows in lane order
    ops: Ints  # GPU rows, ordered by the place of their call
    first_op: Ints  # place -> first of its operations; one entry more than places
    owner: Ints  # slice -> range row
    low: Ints  # slice -> places [low, high)
    high: Ints
    ranges: int

    def per_range(self, values: Ints) -> Ints:
        """Add up the slices of each range."""
        total = np.zeros(self.ranges, dtype=np.int64)
        np.add.at(total, self.owner, values)
        return total

    def calls_sum(self, weights: npt.NDArray[np.generic]) -> Ints:
        """Per range, the sum of a weight per API row."""
        total = prefix(weights[self.calls])
        return self.per_range(total[self.high] - total[self.low])

    def ops_sum(self, weights: npt.NDArray[np.generic]) -> Ints:
        """Per range, the sum of a weight per GPU row."""
        total = prefix(weights[self.ops])
        return self.per_range(total[self.first_op[self.high]] - total[self.first_op[self.low]])


def project(capture: Capture, ranges: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row per range instance, in the order and with the index of `ranges` (by default all of the capture's).

    Columns: `domain`, `name`, `start`, `range_ns` (NaN for an open range), counts (`COUNTS`, `gpu_ops`,
    `api_calls`, `copies[HtoD pageable>device]`, `bytes[..]`), times in ns (`api_ns`, `<family>_ns`,
    `copy_ns[..]`, `work_ns`, `span_ns`, `busy_ns`, `idle_ns` = span - busy), `gpu_start` and `gpu_end` (0
    without GPU work), `first_launch_ns` from the range's start to its first launch (NaN without one),
    `depth`, and `self_launches`, `self_kernels`, `self_work_ns`: without the nested ranges of the same domain
    (NaN for start/end ranges, which need not nest). What `measured.unmeasured` names is NaN.
    """
    ranges = capture.ranges if ranges is None else ranges
    api, ops = capture.api, capture.gpu_ops
    layout = lay_out(capture, ranges)
    family = api["family"]
    duration = _array(api, "end") - _array(api, "start")
    table: dict[str, object] = {
        "domain": ranges["domain"].array,
        "name": ranges["name"].array,
        "start": _array(ranges, "start"),
        "range_ns": _lengths(ranges),
        "api_calls": layout.calls_sum(np.ones(len(api), dtype=np.int8)),
        "api_ns": layout.calls_sum(duration),
        "launches": layout.calls_sum(_is(family, "launch")),
        "graph_launches": layout.calls_sum(_is(family, "graph_launch")),
    }
    waits = {column: _is(family, name) for column, name in CALLS.items()}
    for column, mask in (waits | {"hidden_syncs": hidden_syncs(capture)}).items():
        table[column] = layout.calls_sum(mask)
        table[f"{column}_ns"] = layout.calls_sum(np.where(mask, duration, 0))
    for column, kind in OPERATIONS.items():
        table[column] = layout.ops_sum(_is(ops["kind"], kind))
    table |= _copies(ops, layout)
    table |= _times(ops, layout)
    table["first_launch_ns"] = _first_launch(api, ranges, layout)
    table |= _self(ranges, table)
    for column in unmeasured(capture):
        table |= {
            name: np.full(len(ranges), np.nan) for name in (column, f"{column}_ns", f"self_{column}") if name in table
        }
    return pd.DataFrame(table, index=ranges.index)


def hidden_syncs(capture: Capture) -> Mask:
    """API rows of copies asynchronous by name but with a pageable end: the driver may wait for them."""
    ops = capture.gpu_ops
    pageable = ((ops["src"] == "pageable") | (ops["dst"] == "pageable")).to_numpy() & (_array(ops, "api") >= 0)
    mask = np.zeros(len(capture.api), dtype=bool)
    mask[_array(ops, "api")[pageable]] = True
    return mask & _is(capture.api["family"], "copy_async")


def inside_some_range(capture: Capture) -> Mask:
    """GPU rows that belong to at least one range."""
    # the last entry answers for -1, no API row
    return np.append(_calls_inside(capture), False)[_array(capture.gpu_ops, "api")]


def beside_ranges(capture: Capture) -> dict[str, int]:
    """By counter, calls that began while a range of their process was open, on another thread or beyond its end."""
    api, stray = capture.api, ~_calls_inside(capture)
    for pid in np.unique(_array(api, "pid")):
        rows = np.flatnonzero(_array(api, "pid") == pid)
        mine, at = capture.ranges[capture.ranges["pid"] == pid], _array(api, "start")[rows]
        begun, ended = (np.searchsorted(np.sort(_array(mine, edge)), at, side="right") for edge in ("start", "end"))
        stray[rows] &= begun > ended
    families = {"launches": "launch", "graph_launches": "graph_launch", **CALLS}
    return {name: int((stray & _is(api["family"], kind)).sum()) for name, kind in families.items()}


def _calls_inside(capture: Capture) -> Mask:
    """API rows that lie in at least one range."""
    layout = lay_out(capture, capture.ranges)
    filled = layout.high > layout.low
    edges = np.zeros(layout.calls.size + 1, dtype=np.int64)
    np.add.at(edges, layout.low[filled], 1)
    np.add.at(edges, layout.high[filled], -1)
    inside = np.zeros(len(capture.api), dtype=bool)
    inside[layout.calls] = np.cumsum(edges[:-1]) > 0
    return inside


def _array(table: pd.DataFrame, column: str) -> Ints:
    return table[column].to_numpy(dtype=np.int64)


def _lengths(ranges: pd.DataFrame) -> npt.NDArray[np.generic]:
    """How long they took; of one that never ended nobody knows."""
    took = _array(ranges, "end") - _array(ranges, "start")
    return np.where(ranges["open"], np.nan, took) if ranges["open"].any() else took


def _is(column: pd.Series, value: str) -> Mask:
    return (column == value).to_numpy(dtype=bool)


def lay_out(capture: Capture, ranges: pd.DataFrame) -> Layout:
    """Find, for each row of `ranges`, the API calls inside it and the GPU operations they asked for."""
    api, ops = capture.api, capture.gpu_ops
    usable = np.flatnonzero(~ranges["moved"].to_numpy(dtype=bool))
    threads, codes = np.unique(_array(ranges, "tid")[usable], return_inverse=True)
    of_thread = {
        code: usable[rows]
        for code, rows in by_group(codes, _array(ranges, "start")[usable], _array(ranges, "end")[usable])
    }
    tid = _array(api, "tid")
    rows = np.flatnonzero(np.isin(tid, threads))
    start, end = _array(api, "start"), _array(api, "end")
    from_, to = _array(ranges, "start"), _array(ranges, "end")

    empty = np.empty(0, dtype=np.int64)
    calls: list[Ints] = [empty]
    slices: list[tuple[Ints, Ints, Ints]] = [(empty, empty, empty)]
    place = 0
    for code, group in by_group(np.searchsorted(threads, tid[rows]), start[rows], end[rows]):
        mine = of_thread[code]
        for lane in lanes(rows[group], end):
            low = place + np.searchsorted(start[lane], from_[mine], side="left")
            high = place + np.searchsorted(end[lane], to[mine], side="right")
            slices.append((mine, low, np.maximum(low, high)))
            calls.append(lane)
            place += lane.size
    order = np.concatenate(calls)
    position = np.full(len(api) + 1, -1, dtype=np.int64)
    position[order] = np.arange(order.size)
    op_place = position[_array(ops, "api")]
    known = np.flatnonzero(op_place >= 0)
    by_place = known[np.argsort(op_place[known], kind="stable")]
    owner, low, high = (np.concatenate(part) for part in zip(*slices, strict=True))
    first_op = prefix(np.bincount(op_place[known], minlength=order.size))
    return Layout(order, by_place, first_op, owner, low, high, len(ranges))


def _copies(ops: pd.DataFrame, layout: Layout) -> dict[str, object]:
    table: dict[str, object] = {}
    duration = _array(ops, "end") - _array(ops, "start")
    kinds = copy_kinds(ops)
    for code, label in enumerate(kinds.categories):
        mask = kinds.codes == code
        table[f"copies[{label}]"] = layout.ops_sum(mask)
        size = np.where(mask, _array(ops, "bytes"), 0)
        told = (size >= 0).all()
        table[f"bytes[{label}]"] = layout.ops_sum(size) if told else np.full(layout.ranges, np.nan)
        table[f"copy_ns[{label}]"] = layout.ops_sum(np.where(mask, duration, 0))
    return table


def _times(ops: pd.DataFrame, layout: Layout) -> dict[str, object]:
    start, end = _array(ops, "start")[layout.ops], _array(ops, "end")[layout.ops]
    low, high = layout.first_op[layout.low], layout.first_op[layout.high]
    far = np.iinfo(np.int64).max
    first = np.full(layout.ranges, far, dtype=np.int64)
    last = np.full(layout.ranges, -far, dtype=np.int64)
    np.minimum.at(first, layout.owner, minimum(start, low, high, empty=far))
    np.maximum.at(last, layout.owner, -minimum(-end, low, high, empty=far))
    has_work = last > -far
    first, last = np.where(has_work, first, 0), np.where(has_work, last, 0)
    covered = busy(start, end, layout.owner, low, high, layout.ranges)
    return {
        "gpu_ops": layout.per_range(high - low),
        "work_ns": layout.ops_sum(_array(ops, "end") - _array(ops, "start")),
        "gpu_start": first,
        "gpu_end": last,
        "span_ns": last - first,
        "busy_ns": covered,
        "idle_ns": last - first - covered,
    }


def _first_launch(api: pd.DataFrame, ranges: pd.DataFrame, layout: Layout) -> npt.NDArray[np.float64]:
    launches = np.flatnonzero(api["family"].isin(["launch", "graph_launch"]).to_numpy()[layout.calls])
    times = np.append(_array(api, "start")[layout.calls[launches]], 0)
    after = np.searchsorted(launches, layout.low)
    found = np.append(launches, layout.calls.size)[after] < layout.high
    first = np.full(layout.ranges, np.inf)
    since = (times[after] - _array(ranges, "start")[layout.owner])[found]
    np.minimum.at(first, layout.owner[found], since)
    return np.where(np.isinf(first), np.nan, first)


def _self(ranges: pd.DataFrame, table: dict[str, object]) -> dict[str, object]:
    nested = np.flatnonzero((ranges["nested"] & ~ranges["moved"]).to_numpy(dtype=bool))
    codes = pd.factorize(_array(ranges, "tid")[nested])[0].astype(np.int64)
    codes = codes * (len(ranges["domain"].cat.categories) + 1) + ranges["domain"].cat.codes.to_numpy()[nested]
    above, level = parents(codes, _array(ranges, "start")[nested], _array(ranges, "end")[nested])
    depth = np.zeros(len(ranges), dtype=np.int64)
    depth[nested] = level
    result: dict[str, object] = {"depth": depth}
    for name in ("launches", "kernels", "work_ns"):
        total = np.asarray(table[name])
        own = np.full(len(ranges), np.nan)
        own[nested] = total[nested]
        np.subtract.at(own, nested[above[above >= 0]], total[nested[above >= 0]])
        result[f"self_{name}"] = own
    return result
