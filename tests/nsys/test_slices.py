"""Sums, extremes and unions over slices against the obvious loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from vlbench.nsys import slices
from vlbench.nsys.slices import lanes, parents


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 700), st.integers(0, 2**32 - 1))
def test_minimum_of_slices(size: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.integers(-1000, 1000, size)
    low = random.integers(0, size, 40)
    high = np.minimum(low + random.integers(0, size + 1, 40), size)
    got = slices.minimum(values, low, high, empty=5000)
    assert got.tolist() == [min(values[a:b], default=5000) for a, b in zip(low, high, strict=True)]


@pytest.mark.parametrize("pairs", [1, 50, slices._PAIRS])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_busy_of_slices(pairs: int, seed: int) -> None:
    """Also where the pairs do not fit into one chunk, and where an owner has several slices."""
    random = np.random.default_rng(seed)
    start = random.integers(-50, 100, 60)
    end = start + random.integers(0, 12, 60)
    owner = random.integers(0, 8, 12)
    low = random.integers(0, 60, 12)
    high = np.minimum(low + random.integers(0, 30, 12), 60)
    expected = np.zeros(8, dtype=np.int64)
    for number in range(8):
        covered: set[int] = set()
        for a, b in zip(low[owner == number], high[owner == number], strict=True):
            for s, e in zip(start[a:b], end[a:b], strict=True):
                covered |= set(range(s, e))
        expected[number] = len(covered)
    before = slices._PAIRS
    try:
        slices._PAIRS = pairs
        got = slices.busy(start, end, owner, low, high, 8)
    finally:
        slices._PAIRS = before
    assert got.tolist() == expected.tolist()


def test_busy_of_nothing() -> None:
    empty = np.empty(0, dtype=np.int64)
    assert slices.busy(empty, empty, empty, empty, empty, 3).tolist() == [0, 0, 0]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_lanes_rise_and_lose_nothing(seed: int) -> None:
    random = np.random.default_rng(seed)
    start = np.sort(random.integers(0, 50, 30))
    end = start + random.integers(0, 30, 30)
    found = list(lanes(np.arange(30), end))
    assert sorted(np.concatenate(found).tolist()) == list(range(30))
    for lane in found:
        assert (np.diff(start[lane]) >= 0).all()
        assert (np.diff(end[lane]) >= 0).all()


def test_parents_of_nested_intervals() -> None:
    #            a   b   c   d   e  (other group)
    start = np.array([0, 10, 12, 50, 0])
    end = np.array([100, 40, 20, 60, 100])
    parent, depth = parents(np.array([0, 0, 0, 0, 1]), start, end)
    assert parent.tolist() == [-1, 0, 1, 0, -1]
    assert depth.tolist() == [0, 1, 2, 1, 0]


def test_parents_of_equal_and_touching_intervals() -> None:
    parent, _ = parents(np.zeros(4, dtype=np.int64), np.array([0, 0, 10, 10]), np.array([10, 10, 20, 20]))
    assert parent.tolist() == [-1, 0, -1, 2]
