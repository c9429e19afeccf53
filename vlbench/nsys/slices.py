"""Sums, extremes and unions over many slices of one array, without a loop over the slices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_BLOCK = 64
_PAIRS = 4_000_000  # (slice, operation) pairs handled at once by `busy`: about 300 MB


def prefix(weights: npt.NDArray[np.generic]) -> Ints:
    """Cumulative sums with a leading zero: the sum of weights[lo:hi] is prefix[hi] - prefix[lo]."""
    total = np.zeros(weights.size + 1, dtype=np.int64)
    np.cumsum(weights, dtype=np.int64, out=total[1:])
    return total


def minimum(values: Ints, low: Ints, high: Ints, empty: int) -> Ints:
    """The least of values[low:high] for each slice; `empty` where the slice is empty.

    Whole blocks are answered by a sparse table over block minima, the ragged ends are read: O(n + slices *
    block).
    """
    result = np.full(low.size, empty, dtype=np.int64)
    some = np.flatnonzero(high > low)
    if not some.size:
        return result
    low, high = low[some], high[some]
    first, last = -(-low // _BLOCK), high // _BLOCK  # whole blocks [first, last)
    whole = last > first
    head_end = np.where(whole, first * _BLOCK, high)
    best = np.minimum(values[low], values[high - 1])
    best = np.minimum(best, _short_minimum(values, low, head_end))
    if whole.any():
        best[whole] = np.minimum(best[whole], _short_minimum(values, last[whole] * _BLOCK, high[whole]))
        best[whole] = np.minimum(best[whole], _block_minimum(values, first[whole], last[whole]))
    result[some] = best
    return result


def _short_minimum(values: Ints, low: Ints, high: Ints) -> Ints:
    """As `minimum` by reading every element; the identity where the slice is empty."""
    identity = np.iinfo(np.int64).max
    result = np.full(low.size, identity, dtype=np.int64)
    some = np.flatnonzero(high > low)
    if some.size:
        padded = np.append(values, identity)  # a slice may end at the end of the array
        bounds = np.column_stack([low[some], high[some]]).ravel()
        result[some] = np.minimum.reduceat(padded, bounds)[::2]
    return result


def _block_minimum(values: Ints, first: Ints, last: Ints) -> Ints:
    level = np.minimum.reduceat(values, np.arange(0, values.size, _BLOCK))
    width = np.frexp((last - first).astype(np.float64))[1] - 1  # floor(log2(blocks))
    result = np.empty(first.size, dtype=np.int64)
    for power in range(int(width.max()) + 1):
        here = np.flatnonzero(width == power)
        result[here] = np.minimum(level[first[here]], level[last[here] - (1 << power)])
        if level.size > 1 << power:
            level = np.minimum(level[: -(1 << power)], level[1 << power :])
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
