"""Grids to test on: hypothesis strategies, and a fixed list of awkward batches."""

from __future__ import annotations

from hypothesis import strategies as st

Grid = tuple[int, int, int]
"""Frames, rows and columns of one image or video, in patches; rows and columns are even."""
Batch = tuple[Grid, ...]

WINDOW = 8
"""Side of an attention window in patches."""


def _even(smallest: int, largest: int) -> st.SearchStrategy[int]:
    return st.integers(smallest // 2, largest // 2).map(lambda cells: 2 * cells)


smallest_images = st.just((1, 2, 2))
strips = st.sampled_from([(1, 2, 200), (1, 200, 2)])
aligned_images = st.tuples(st.just(1), *[st.integers(1, 2).map(lambda windows: WINDOW * windows)] * 2)
ragged_images = st.tuples(st.just(1), _even(2, 20), _even(2, 20))
videos = st.tuples(st.integers(2, 4), _even(2, 12), _even(2, 12))
items = st.one_of(ragged_images, videos, aligned_images, smallest_images, strips)
batches: st.SearchStrategy[Batch] = st.lists(items, min_size=1, max_size=4).map(tuple)
"""One item or several, of one kind or mixed."""

AWKWARD: tuple[Batch, ...] = (
    ((1, 2, 2),),
    ((1, 2, 2), (1, 2, 2)),
    ((1, 2, 200),),
    ((1, 8, 8),),
    ((1, 16, 16), (1, 16, 16)),
    ((1, 10, 14),),
    ((3, 6, 10),),
    ((2, 8, 16),),
    ((1, 10, 6), (2, 8, 10), (1, 8, 8), (1, 2, 2), (2, 8, 10)),
    ((1, 4, 4), (1, 18, 18)),
)
"""A single cell, equal items, a strip, exact windows, ragged ones, videos, all mixed, and a batch that grows."""

MIXED: Batch = AWKWARD[8]
"""Videos, ragged and exact windows, a repeated item: the batch in which most mistakes show."""
