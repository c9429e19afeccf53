"""Deepstack: which features come out, and where they lie."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.implementations.grids import Batch
from tests.implementations.optimized.plans import new_tower
from tests.implementations.towers import NARROW_3, NARROW_3_5, pixels_of, reference_tower, run, weights_of
from vlbench.implementations import build_tower
from vlbench.implementations.optimized.deepstack import levels
from vlbench.implementations.output import VisionOutput, unpack

LARGE: Batch = ((2, 8, 8),)
SMALL: Batch = ((1, 4, 2),)


def output(batch: Batch, *flags: str) -> VisionOutput:
    with torch.no_grad():
        returned = new_tower(NARROW_3, *flags)(pixels_of(NARROW_3, batch), torch.tensor(batch))
    assert isinstance(returned, VisionOutput)
    return returned


@pytest.mark.parametrize("flags", [(), ("deepstack-prealloc",)])
def test_each_level_is_a_part_of_its_own(flags: tuple[str, ...]) -> None:
    parts = unpack(output(SMALL, *flags))
    assert list(parts) == ["tokens", "deepstack[0]", "deepstack[1]"]
    assert {part.shape for part in parts.values()} == {(2, NARROW_3.out_hidden_size)}


def test_a_tower_without_deepstack_returns_a_plain_tensor() -> None:
    with torch.no_grad():
        returned = new_tower(NARROW_3_5)(pixels_of(NARROW_3_5, SMALL), torch.tensor(SMALL))
    assert type(returned) is torch.Tensor


def test_levels_lie_side_by_side_in_one_tensor_of_the_call() -> None:
    first, second = (output(batch, "deepstack-prealloc").parts for batch in (LARGE, SMALL))
    for parts in (first, second):
        before, after = parts["deepstack[0]"], parts["deepstack[1]"]
        assert after.data_ptr() == before.data_ptr() + before.nbytes
    assert first["deepstack[0]"].data_ptr() != second["deepstack[0]"].data_ptr()


def test_nothing_of_a_longer_batch_is_left_in_a_shorter_one() -> None:
    tower = new_tower(NARROW_3, "deepstack-prealloc")
    kept = run(tower, NARROW_3, LARGE)
    assert torch.equal(run(tower, NARROW_3, SMALL), run(reference_tower(NARROW_3), NARROW_3, SMALL))
    assert torch.equal(kept, run(reference_tower(NARROW_3), NARROW_3, LARGE))


def test_both_ways_know_the_same_levels() -> None:
    for blocks in ((), (8, 16, 24), (0,)):
        search, look_up = (levels.way_of(names)(blocks) for names in ((), ("deepstack-dict",)))
        assert [search(block) for block in range(30)] == [look_up(block) for block in range(30)]


def test_with_windows_the_features_are_in_the_order_of_the_tokens() -> None:
    """No released tower has both; the fields of a config decide what is computed."""
    config = replace(NARROW_3, window_size=16, fullatt_block_indexes=(0, 1))
    tower = build_tower(config, (), weights_of(NARROW_3))
    for batch in (LARGE, ((1, 6, 10), (1, 4, 4))):
        wanted = run(reference_tower(NARROW_3), NARROW_3, batch)
        torch.testing.assert_close(run(tower, config, batch), wanted, atol=1e-4, rtol=1e-4)
