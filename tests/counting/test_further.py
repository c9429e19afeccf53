from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.counting.toy_towers import Toy
from vlbench.counting.further import count_further
from vlbench.counting.measure import build_ghost
from vlbench.counting_device import CountingDevice
from vlbench.record.counted import CHURN, NEWEST_CALL
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
    waits = {name: counts["host_syncs"] for name, counts in further.calls.items() if name != CHURN}
    assert waits == {name: int(name == NEWEST_CALL) for name in further.calls if name != CHURN}
    assert len(waits) == 11
    assert not further.failed


class AttendsToPatches(Toy):
    def habit(self, x: Tensor, grid_thw: Tensor) -> Tensor:
        heads = x.view(1, 1, -1, x.shape[-1])
        F.scaled_dot_product_attention(heads, heads, heads)
        return x


def test_each_new_grid_has_a_plan_built_and_a_grid_that_comes_again_has_none() -> None:
    tower = Tower(
        lambda device, dtype: AttendsToPatches().to(device, dtype), arguments=lambda pixels, grids: (pixels, grids)
    )
    with CountingDevice("ghost", "sm_90") as device:
        further, _ = count_further(
            device, tower, lambda each: build_ghost(device, each, torch.bfloat16), torch.bfloat16
        )
    plans = {name: counts["attention_plans"] for name, counts in further.calls.items() if counts["attention_plans"]}
    assert further.calls["second call"]["attention_calls"] == 1
    assert plans == {"first call": 1, "several items": 1, CHURN: 7, NEWEST_CALL: 1}  # 3x4 as 4x3
    assert not further.uneven
