"""The small calls on which anyone's tower is checked: at most 100 patches each, whatever a cache's key may forget.

Where a secret is given, contents are drawn from it, and so are further grids, which nobody can know beforehand.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from vlbench.implementations.preprocessing import FIVE, SEVERAL, Fed, Grid, Images
from vlbench.record.base import grid_text
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
HELD_OUT = 3
"""Further batches where there is a secret, each in float32 and then in bfloat16."""
REPEATED = {"patches": (0, 6), "images": (0, 3)}
"""Two calls that are the same in all but the number of calls before."""


def exact_of(number: int, images: bool) -> int | None:
    """Which call feeds the same as call `number` in float32; None where none does."""
    calls = IMAGES if images else CELLS
    if number >= len(calls):
        return number - 1  # held out: each comes in float32 first
    cells, contents, _ = calls[number]
    same = (cells, contents, "float32")
    return calls.index(same) if same in calls else None


@dataclass(frozen=True)
class SmallCall:
    """One call."""

    name: str
    dtype: str
    entry: Input


def small_calls(fed: Fed, secret: int | None = None) -> Iterator[SmallCall]:
    """All of them, in order; pixels are drawn from fixed seeds, or from `secret`, and further grids with them."""
    calls = IMAGES if isinstance(fed, Images) else CELLS
    for cells, contents, dtype in calls if secret is None else (*calls, *_held_out(secret)):
        grids = fed.grids_of(cells)
        draw = torch.Generator().manual_seed(contents if secret is None else secret + contents)
        pixels = torch.randn(fed.pixels_shape(grids), generator=draw).to(getattr(torch, dtype))
        words = f"{len(grids)} images" if isinstance(fed, Images) else "+".join(map(grid_text, grids))
        yield SmallCall(f"{words} {dtype}", dtype, Input(pixels, torch.tensor(grids)))


def _held_out(secret: int) -> Iterator[tuple[Sequence[Grid], int, str]]:
    draw = random.Random(secret)
    for contents in range(10, 10 + HELD_OUT):
        cells = [(draw.randint(1, 4), draw.randint(1, 6), draw.randint(1, 6)) for _ in range(draw.randint(1, 4))]
        yield cells, contents, "float32"
        yield cells, contents, "bfloat16"
