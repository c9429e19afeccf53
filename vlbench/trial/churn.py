"""Grids that change from call to call, as they do in a server: for the churn state of the caches."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import torch

from vlbench.trial.accuracy import Grid, Input

KEPT = 0.5
JITTER = 3
CHURN = f"each item keeps its grid in {KEPT:.0%} of calls, else each side moves by up to {JITTER} merged cells"


def churn_inputs(
    grids: Sequence[Grid], patch_dim: int, dtype: torch.dtype, device: torch.device, seed: int, merge: int = 2
) -> Callable[[int], Input]:
    """The input of any round: noise on grids drawn from CHURN. The same round gives the same input.

    `merge` is the side, in patches, of a merged cell.
    """
    largest = sum(t * (h + merge * JITTER) * (w + merge * JITTER) for t, h, w in grids)
    noise = torch.randn(largest, patch_dim, generator=torch.Generator().manual_seed(seed)).to(device, dtype)

    def make(number: int) -> Input:
        drawn = [_moved(grid, random.Random(f"{seed} {number} {item}"), merge) for item, grid in enumerate(grids)]
        patches = sum(t * h * w for t, h, w in drawn)
        return Input(noise[:patches], torch.tensor(drawn)).turned(number)  # the same grids come again, these bytes not

    return make


def _moved(grid: Grid, draw: random.Random, merge: int) -> Grid:
    t, h, w = grid
    if draw.random() < KEPT:
        return grid
    rows, columns = (max(merge, side + merge * draw.randint(-JITTER, JITTER)) for side in (h, w))
    return (t, rows, columns)
