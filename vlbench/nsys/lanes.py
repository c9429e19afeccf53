"""Split intervals into lanes in which both starts and ends rise, so that "inside a range" is one slice per
lane.

CUDA calls of a thread hardly ever nest, so a thread is nearly always a single lane. The lanes of nested
intervals are their nesting levels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


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
