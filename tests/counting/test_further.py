from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.counting.toy_towers import Toy
from vlbench.counting.further import count_further
from vlbench.counting.measure import build_ghost
from vlbench.counting_device import CountingDevice
from vlbench.record.counted import NEWEST_CALL
from vlbench.towers.tower import Tower


class WaitsForFive(Toy):
    def habit(self, x: Tensor, grid_thw: Tensor) -> Tensor:
        if len(grid_thw) >= 5:
            x.sum().item()
        return x


@pytest.mark.slow
def test_a_wait_for_five_items_is_counted_in_the_call_of_five_alone() -> None:
    tower = Tower(
        lambda device, dtype: WaitsForFive().to(device, dtype), arguments=lambda pixels, grids: (pixels, grids)
    )
    with CountingDevice("ghost") as device:
        further, _ = count_further(
            device, tower, lambda each: build_ghost(device, each, torch.bfloat16), torch.bfloat16
        )
    waits = {name: counts["host_syncs"] for name, counts in further.calls.items()}
    assert waits == {name: int(name == NEWEST_CALL) for name in further.calls}
    assert len(waits) == 11
    assert not further.failed
