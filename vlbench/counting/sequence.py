"""The ordered sequence of what a tower asks of a device: of its first forward, and of its second."""

from collections.abc import Sequence

import torch

from vlbench.counting.job import Point
from vlbench.counting.measure import refuse_platform, resolved, two_forwards
from vlbench.counting.rows import Row
from vlbench.counting_device import CountingDevice
from vlbench.implementations.preprocessing import Grid
from vlbench.record.sequence import Sequences


def sequences_of(
    tower: str, grids: Sequence[Grid], dtype: str = "bfloat16", profile: str = "sm_90", cudnn: str = ""
) -> Sequences:
    """Of the tower that `resolve_tower` makes of a text, on `grids` (frames, rows, columns), as on a GPU of `profile`.

    In this process, on a counting device of its own. Raises UsageError for what cannot be had or counted, and whatever
    the tower raises.
    """
    with CountingDevice("ghost", profile, cudnn) as device:
        found, point = resolved(device, tower, Point(scenario="grid", label="", grids=tuple(grids)))
        refuse_platform(found)
        cold, warm = two_forwards(device, found, point, getattr(torch, dtype), Row(found.name, tower), ordered=True)
    return Sequences(cold.events, warm.events)
