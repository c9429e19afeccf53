"""The small calls on which anyone's tower is checked: at most 100 patches each, whatever a cache's key may forget."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from vlbench.implementations.preprocessing import FIVE, SEVERAL, Fed, Grid, Images
from vlbench.trial.accuracy import Input

_EQUAL: tuple[Grid, ...] = ((1, 1, 2),) * 3
_NEW: tuple[Grid, ...] = ((3, 1, 2), (1, 1, 2))
CELLS: tuple[tuple[tuple[Grid, ...], int, str], ...] = (
    (SEVERAL, 0, "float32"),
    (SEVERAL[::-1], 1, "float32"),
    (SEVERAL, 2, "float32"),
    (((1, 5, 5),), 0, "float32"),
    (((1, 1, 4),), 0, "float32"),
    (((2, 1, 2),), 1, "float32"),
    (SEVERAL, 0, "float32"),
    (SEVERAL, 0, "bfloat16"),
    (_NEW, 0, "bfloat16"),
    (_NEW, 0, "float32"),
    (SEVERAL[::-1], 1, "float32"),
    (_EQUAL, 3, "float32"),
    (FIVE, 3, "float32"),
    (_EQUAL, 3, "bfloat16"),
    (FIVE, 3, "bfloat16"),
)
"""Grids in merged cells, which contents, and in which dtype, one call after the other on one tower.

A new one goes to the end: outputs that were stored before it are those of the first calls.
"""
_TWO = SEVERAL[:2]
IMAGES: tuple[tuple[tuple[Grid, ...], int, str], ...] = (
    (_TWO, 0, "float32"),
    (_TWO[:1], 0, "float32"),
    (_TWO, 1, "float32"),
    (_TWO, 0, "float32"),
    (_TWO[:1], 0, "bfloat16"),
    (FIVE[:4], 3, "float32"),
    (FIVE[:4], 3, "bfloat16"),
)
"""The same of a tower of images, one for each grid. The fourth repeats the first."""
REPEATED = {"patches": (0, 6), "images": (0, 3)}
"""Two calls that are the same in all but the number of calls before."""


def exact_of(number: int, images: bool) -> int | None:
    """Which call feeds the same as call `number` in float32; None where none does."""
    calls = IMAGES if images else CELLS
    cells, contents, _ = calls[number]
    same = (cells, contents, "float32")
    return calls.index(same) if same in calls else None


@dataclass(frozen=True)
class SmallCall:
    """One call."""

    name: str
    dtype: str
    entry: Input


def small_calls(fed: Fed) -> Iterator[SmallCall]:
    """All of them, in order; pixels are drawn from fixed seeds."""
    for cells, contents, dtype in IMAGES if isinstance(fed, Images) else CELLS:
        grids = fed.grids_of(cells)
        draw = torch.Generator().manual_seed(contents)
        pixels = torch.randn(fed.pixels_shape(grids), generator=draw).to(getattr(torch, dtype))
        words = f"{len(grids)} images" if isinstance(fed, Images) else "+".join("x".join(map(str, g)) for g in grids)
        yield SmallCall(f"{words} {dtype}", dtype, Input(pixels, torch.tensor(grids)))
