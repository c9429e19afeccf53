"""Intervals in lanes, and sums, extremes and unions over many slices of one array, without a loop over the slices.

In a lane both starts and ends rise, so that "inside a range" is one slice per lane. CUDA calls of a thread hardly ever
nest, so a thread is nearly always a single lane. The lanes of nested intervals are their nesting levels.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_PAIRS = 4_000_000  # (slice, operation) pairs handled at once by `busy`: about 300 MB


def prefix(weights: npt.NDArray[np.generic]) -> Ints:
    """Cumulative sums with a leading zero: the sum of weights[lo:hi] is prefix[hi] - prefix[lo]."""
    total = np.zeros(weights.size + 1, dtype=np.int64)
    np.cumsum(weights, dtype=np.int64, out=total[1:])
    return total


def minimum(values: Ints, low: Ints, high: Ints, empty: int) -> Ints:
    """The least of values[low:high] for each slice; `empty` where the slice is empty."""
    result = np.full(low.size, empty, dtype=np.int64)
    filled = np.flatnonzero(high > low)
    if filled.size:
        padded = np.append(values, np.iinfo(np.int64).max)  # a slice may end at the end of the array
        result[filled] = np.minimum.reduceat(padded, np.column_stack([low[filled], high[filled]]).ravel())[::2]
    return result


def busy(start: Ints, end: Ints, owner: Ints, low: Ints, high: Ints, owners: int) -> Ints:
    """The length of the union of the intervals [low:high) of each owner; an owner may have several slices.

    Where the intervals of an owner follow each other without overlap, which is a GPU's usual case, that is
    their sum. The others are sorted by start and swept, a bounded number of pairs at a time.
    """
    work = prefix(end - start)
    clash = np.zeros(start.size, dtype=np.int64)
    clash[1:] = start[1:] < end[:-1]
    clashes = prefix(clash)
    size = np.maximum(high - low, 0)
    filled = size > 0
    owner, low, high, size = owner[filled], low[filled], high[filled], size[filled]

    result = np.zeros(owners, dtype=np.int64)
    plain = (clashes[high] - clashes[low + 1] == 0) & (np.bincount(owner, minlength=owners)[owner] == 1)
    result[owner[plain]] = work[high[plain]] - work[low[plain]]

    owner, low, size = owner[~plain], low[~plain], size[~plain]
    order = np.argsort(owner, kind="stable")
    owner, low, size = owner[order], low[order], size[order]
    if not owner.size:
        return result
    by_start = np.argsort(start, kind="stable")
    rank = np.empty(start.size, dtype=np.int64)
    rank[by_start] = np.arange(start.size)
    span = int(end.max() - start.min()) + 1
    for begin, stop in _chunks(owner, size, max_owners=max(1, (1 << 61) // max(span, start.size))):
        ids, dense = np.unique(owner[begin:stop], return_inverse=True)
        pair_owner = np.repeat(dense, size[begin:stop])
        offset = prefix(size[begin:stop])[:-1]
        pair = np.arange(pair_owner.size) + np.repeat(low[begin:stop] - offset, size[begin:stop])
        key = np.sort(pair_owner * start.size + rank[pair])
        pair_owner, pair = key // start.size, by_start[key % start.size]
        shift = pair_owner * span - int(start.min())  # later owners lie wholly after earlier ones
        begins, ends = start[pair] + shift, end[pair] + shift
        covered = np.maximum.accumulate(ends)
        new = ends - begins
        new[1:] = np.maximum(0, ends[1:] - np.maximum(begins[1:], covered[:-1]))
        total = prefix(new)
        edges = np.searchsorted(pair_owner, np.arange(ids.size + 1))
        result[ids] = total[edges[1:]] - total[edges[:-1]]
    return result


def _chunks(owner: Ints, size: Ints, max_owners: int) -> list[tuple[int, int]]:
    """Cut the slices, ordered by owner, into runs of whole owners with a bounded number of pairs."""
    edges = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
    bounds = np.append(edges, owner.size)
    total = prefix(size)[bounds]
    chunks, first = [], 0
    while first < edges.size:
        stop = int(np.searchsorted(total, total[first] + _PAIRS, side="right")) - 1
        stop = min(max(stop, first + 1), first + max_owners, edges.size)
        chunks.append((int(bounds[first]), int(bounds[stop])))
        first = stop
    return chunks


def by_group(codes: npt.NDArray[np.integer], start: Ints, end: Ints) -> Iterator[tuple[int, Ints]]:
    """The rows of each group, ordered by start and, where starts are equal, longest first."""
    order = np.lexsort((-end, start))
    order = order[np.argsort(codes[order], kind="stable")]
    ordered = codes[order]
    cuts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    for rows in np.split(order, cuts) if order.size else []:
        yield int(codes[rows[0]]), rows


def lanes(rows: Ints, end: Ints) -> Iterator[Ints]:
    """Peel lanes off `rows` (ordered by start): a lane is what ends no earlier than everything before it."""
    while rows.size:
        ends = end[rows]
        outer = ends >= np.maximum.accumulate(ends)
        yield rows[outer]
        rows = rows[~outer]


def parents(codes: npt.NDArray[np.integer], start: Ints, end: Ints) -> tuple[Ints, Ints]:
    """For each interval, properly nested in its group: the innermost encloser (-1: none) and the depth."""
    parent = np.full(start.size, -1, dtype=np.int64)
    depth = np.zeros(start.size, dtype=np.int64)
    for _, rows in by_group(codes, start, end):
        above: Ints | None = None
        for level, lane in enumerate(_levels(rows, end)):
            depth[lane] = level
            if above is not None:
                parent[lane] = above[np.searchsorted(start[above], start[lane], side="right") - 1]
            above = lane
    return parent, depth


def _levels(rows: Ints, end: Ints) -> Iterator[Ints]:
    """As `lanes`, but what equals an earlier interval, or ends with it, lies a level below it."""
    while rows.size:
        ends = end[rows]
        before = np.maximum.accumulate(ends)
        outer = np.ones(rows.size, dtype=bool)
        outer[1:] = ends[1:] > before[:-1]
        yield rows[outer]
        rows = rows[~outer]
