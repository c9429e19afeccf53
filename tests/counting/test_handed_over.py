"""What vlbench does to call a tower is in no count of it."""

from __future__ import annotations

import pytest
import torch

from vlbench.counting.job import Point
from vlbench.counting.measure import count_tower
from vlbench.counting.rows import Row
from vlbench.counting_device import CountingDevice
from vlbench.towers.tower import Tower
from vlbench.trial.accuracy import Input
from vlbench.trial.tower_bench import handed


class Sums(torch.nn.Module):
    def forward(self, pixels: torch.Tensor, grid_thw: torch.Tensor) -> torch.Tensor:
        return pixels * grid_thw.sum()


PLAIN = Tower(lambda device, dtype: Sums())
SENDS = Tower(lambda device, dtype: Sums(), arguments=lambda pixels, grid: (pixels, grid.to(pixels.device)))


@pytest.mark.parametrize(("name", "uploads"), [("PLAIN", 0), ("SENDS", 1)])
def test_only_the_towers_own_copy_of_the_grid_is_counted(name: str, uploads: int) -> None:
    point = Point(scenario="grid", label="", grids=((1, 4, 6),))
    with CountingDevice("ghost") as device:
        row, _ = count_tower(device, Row(name, f"{__name__}:{name}"), point, torch.bfloat16)
    assert row.warm is not None
    total = row.warm.counts.total
    assert (total.uploads, total.host_syncs, total.device_operations) == (uploads, uploads, 2)


@pytest.mark.parametrize(("tower", "uploads"), [(PLAIN, 0), (SENDS, 1)])
def test_a_timed_call_pays_for_the_towers_own_copy_alone(tower: Tower, uploads: int) -> None:
    with CountingDevice("shadow") as device, torch.inference_mode():
        module = device.build(lambda: tower.build(torch.device("cpu"), torch.float32))
        entry = handed(module, Input(device.pixels((24, 8), torch.float32), torch.tensor([[1, 4, 6]])))
        with device.count() as counter:
            entry.output(lambda *call: module(*call).host)
    assert counter.report.total.uploads == uploads
