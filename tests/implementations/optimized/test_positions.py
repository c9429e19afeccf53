"""The learned position embedding, resampled in three ways."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange
from hypothesis import given, settings
from torch import Tensor, nn

from tests.implementations.grids import MIXED, Batch, batches
from tests.implementations.optimized.plans import new_tower, plan_of, tower_for
from tests.implementations.towers import NARROW_3, reference_tower, run

CACHED = "pos-embed-cache"
SIDE = 6


def positions_of(batch: Batch, table: Tensor, *flags: str) -> Tensor:
    positions = plan_of(tower_for(NARROW_3, *flags), batch).positions
    assert positions is not None
    return positions(table, table.dtype)


@given(batch=batches)
@settings(max_examples=25)
def test_it_is_what_interpolate_does_with_aligned_corners(batch: Batch) -> None:
    table = torch.randn(SIDE * SIDE, 5, generator=torch.Generator().manual_seed(0))
    square = table.T.reshape(1, 5, SIDE, SIDE)
    wanted = [
        rearrange(
            F.interpolate(square, (h, w), mode="bilinear", align_corners=True),
            "1 c (h i) (w j) -> (h w i j) c",
            i=2,
            j=2,
        ).repeat(t, 1)
        for t, h, w in batch
    ]
    for flags in ((), ("pos-embed-vectorized",), (CACHED,)):
        torch.testing.assert_close(positions_of(batch, table, *flags), torch.cat(wanted), atol=2e-5, rtol=1e-5)


def test_positions_are_remembered_by_rows_and_columns() -> None:
    tower = new_tower(NARROW_3, CACHED)
    run(tower, NARROW_3, ((1, 4, 6), (3, 4, 6), (1, 6, 4)))
    run(tower, NARROW_3, ((2, 6, 4),))
    cache = tower.caches()["positions"]
    assert (cache.hits, cache.misses, cache.bytes) == (2, 2, 2 * 24 * 4 * (8 + 4))


def multiply(table: nn.Embedding) -> None:
    table.weight.mul_(2)


def write_past_autograd(table: nn.Embedding) -> None:
    table.weight.data.copy_(table.weight.data * 2)


def swap(table: nn.Embedding) -> None:
    table.weight = nn.Parameter(table.weight * 2, requires_grad=False)


@pytest.mark.parametrize("made_in_inference_mode", [False, True])
@pytest.mark.parametrize("change", [multiply, write_past_autograd, swap])
def test_a_table_that_is_written_is_looked_up_anew(
    change: Callable[[nn.Embedding], None], made_in_inference_mode: bool
) -> None:
    with torch.inference_mode(made_in_inference_mode):
        weights = {key: tensor.clone() for key, tensor in reference_tower(NARROW_3).state_dict().items()}
        tower, plain = new_tower(NARROW_3, CACHED), new_tower(NARROW_3)
        for each in (tower, plain):
            each.load_state_dict({key: tensor.clone() for key, tensor in weights.items()}, assign=True)
    before = run(tower, NARROW_3, MIXED)
    with torch.inference_mode():
        change(tower.pos_embed)
        change(plain.pos_embed)
    after = run(tower, NARROW_3, MIXED)
    assert not torch.equal(after, before)
    assert torch.equal(after, run(plain, NARROW_3, MIXED))


def test_a_cast_forgets_them() -> None:
    tower = new_tower(NARROW_3, CACHED)
    run(tower, NARROW_3, MIXED)
    half = tower.to(torch.bfloat16)
    assert len(half.caches()["positions"]) == 0
    assert torch.equal(run(half, NARROW_3, MIXED), run(reference_tower(NARROW_3, torch.bfloat16), NARROW_3, MIXED))
