"""The ordered sequence of what a tower asks of a device: of its first forward, and of its second."""

import gc
from collections.abc import Sequence

import torch

from vlbench.counting.job import Point
from vlbench.counting.measure import two_forwards
from vlbench.counting.rows import Row
from vlbench.counting_device import CountingDevice
from vlbench.errors import UsageError
from vlbench.implementations.preprocessing import Grid
from vlbench.record.sequence import Sequences
from vlbench.towers.resolve import resolve_tower
from vlbench.towers.tower import Tower


def sequences_of(
    tower: str, grids: Sequence[Grid], dtype: str = "bfloat16", profile: str = "sm_90", cudnn: str = ""
) -> Sequences:
    """Of the tower that `resolve_tower` makes of a text, on `grids` (frames, rows, columns), as on a GPU of `profile`.

    In this process, on a counting device of its own. Raises UsageError for what cannot be had or counted.
    """
    with CountingDevice("ghost", profile, cudnn) as device:
        with device.building():
            found = resolve_tower(tower)
        return sequences(device, found, grids, getattr(torch, dtype))


def sequences(
    device: CountingDevice, tower: Tower, grids: Sequence[Grid], dtype: torch.dtype, row: Row | None = None
) -> Sequences:
    """The same of a tower that is resolved, on an open device; `row` says where its plan is made.

    Raises UsageError for grids that do not fit and for what cannot be counted, and whatever the tower raises.
    """
    if reason := tower.fed.misfit(grids):
        raise UsageError(f"{tower.name}: {reason}")
    gc.collect()  # a dead tower must not be taken for live memory
    point = Point(scenario="grid", label="", grids=tuple(grids))
    cold, warm = two_forwards(device, tower, point, dtype, row or Row(tower.name, tower.name), ordered=True)
    return Sequences(cold.events, warm.events)
