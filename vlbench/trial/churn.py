"""Grids that change from call to call, as they do in a server: for the churn state of the caches.

Calls that were recorded are replayed in their order, one a round, and begin anew after the last. Others are drawn.
Each item keeps its grid in half of the calls; else each side moves by up to `JITTER` merged cells. A tower of images
keeps their number in half of the calls; else it moves by up to `JITTER`.
"""

import random
from collections.abc import Callable, Sequence

import torch

from vlbench.implementations.preprocessing import Fed, Grid, Images
from vlbench.trial.accuracy import Input
from vlbench.workload.batch import as_fed

KEPT = 0.5
JITTER = 3


def churn_inputs(
    grids: Sequence[Grid],
    fed: Fed,
    dtype: torch.dtype,
    device: torch.device,
    seed: int,
    secret: int,
    calls: Sequence[Sequence[Grid]] = (),
) -> Callable[[int], Input]:
    """The input of any round: noise on the grids of one of the recorded `calls`, or on grids that are drawn for it.

    The same round gives the same input.
    """
    fed_calls = [as_fed(call, fed) for call in calls]
    if fed_calls:
        largest = max(fed_calls, key=lambda call: fed.pixels_shape(call)[0])
    elif isinstance(fed, Images):
        largest = [fed.grid] * (len(grids) + JITTER)
    else:
        step = fed.merge_size * JITTER
        largest = [(t, h + step, w + step) for t, h, w in grids]
    noise = torch.randn(fed.pixels_shape(largest), generator=torch.Generator().manual_seed(seed)).to(device, dtype)

    def make(number: int) -> Input:
        drawn = fed_calls[number % len(fed_calls)] if fed_calls else churned(grids, fed, seed, number)
        pixels = noise[: fed.pixels_shape(drawn)[0]]
        return Input(pixels, torch.tensor(drawn)).turned(number, secret)  # the same grids come again, these bytes not

    return make


def churned(grids: Sequence[Grid], fed: Fed, seed: int, number: int) -> list[Grid]:
    """What the round `number` feeds in place of `grids`."""
    key = f"{seed} {number}"
    if not isinstance(fed, Images):
        return [_moved(grid, random.Random(f"{key} {item}"), fed.merge_size) for item, grid in enumerate(grids)]
    draw = random.Random(key)
    more = 0 if draw.random() < KEPT else draw.randint(-JITTER, JITTER)
    return [fed.grid] * max(1, len(grids) + more)


def _moved(grid: Grid, draw: random.Random, merge: int) -> Grid:
    t, h, w = grid
    if draw.random() < KEPT:
        return grid
    rows, columns = (max(merge, side + merge * draw.randint(-JITTER, JITTER)) for side in (h, w))
    return (t, rows, columns)
