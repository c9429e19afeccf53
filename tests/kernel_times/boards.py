"""Boards whose times are known."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from vlbench.kernel_times.stored import Memory, Source, StoredBoard, TimeTable

STEPS, NS, KS = (1, 16, 64, 256, 1024), (512, 1024, 4096), (512, 1024, 2048)
LENGTHS, HEADS, BATCHES = (1, 64, 256, 1024), (8, 16), (1, 4, 16)
Times = Callable[[int, int, int], float]


def products(time: Times, engine: str = "one 1", dtype: str = "bfloat16") -> TimeTable:
    """All products at the time of (n, k, m)."""
    pairs = tuple(product(NS, KS))
    us = tuple(tuple(time(n, k, m) for m in STEPS) for n, k in pairs)
    return TimeTable(what="product", engine=engine, kernel="linear", dtype=dtype, steps=STEPS, pairs=pairs, us=us)


def attention(time: Times, engine: str = "one 1", head_dim: int = 80) -> TimeTable:
    """All calls at the time of (heads, batch, length)."""
    pairs = tuple(product(HEADS, BATCHES))
    us = tuple(tuple(time(heads, batch, length) for length in LENGTHS) for heads, batch in pairs)
    kind = {"what": "attention", "kernel": "fa", "dtype": "bfloat16", "head_dim": head_dim}
    return TimeTable(engine=engine, steps=LENGTHS, pairs=pairs, us=us, **kind)  # type: ignore[arg-type]


def stored(*tables: TimeTable) -> StoredBoard:
    """A board of these."""
    return StoredBoard(
        board="made-up",
        gpu="none",
        profile="sm_90",
        source=Source(package="tests", version="1", licence="Apache-2.0", copyright="", taken="2026-11-29", changes=""),
        memory=Memory(bytes_per_s=1e12, factor=0.8, constant_us=3.0, l2_bytes=1 << 20, pcie_bytes_per_s=64e9),
        tables=tables,
    )


def by_work(n: int, k: int, m: int) -> float:
    """The microseconds of a GPU of 500 TFLOP/s that loses nothing."""
    return 2 * n * k * m / 500e6
