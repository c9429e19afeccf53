"""The learned position embedding, resampled in three ways."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from hypothesis import given, settings
from torch import Tensor

from tests.implementations.grids import MIXED, Batch, batches
from tests.implementations.optimized.plans import new_tower, plan_of, tower_for
from tests.implementations.towers import NARROW_3, joined, pixels_of, run, yardstick

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
    assert (cache.hits, cache.misses, cache.bytes) == (2, 2, 2 * 24 * NARROW_3.hidden_size * 4)


def test_a_table_that_is_written_in_place_is_resampled_anew() -> None:
    weights = {key: tensor.clone() for key, tensor in yardstick(NARROW_3).state_dict().items()}
    tower = new_tower(NARROW_3, CACHED)
    tower.load_state_dict(weights, assign=True)
    run(tower, NARROW_3, MIXED)
    with torch.no_grad():
        tower.pos_embed.weight.mul_(2)
        plain = new_tower(NARROW_3)
        plain.load_state_dict(weights, assign=True)
        wanted = joined(plain(pixels_of(NARROW_3, MIXED), torch.tensor(MIXED)))
    assert torch.equal(run(tower, NARROW_3, MIXED), wanted)


def test_a_cast_forgets_them() -> None:
    tower = new_tower(NARROW_3, CACHED)
    run(tower, NARROW_3, MIXED)
    half = tower.to(torch.bfloat16)
    assert len(half.caches()["positions"]) == 0
    assert torch.equal(run(half, NARROW_3, MIXED), run(yardstick(NARROW_3, torch.bfloat16), NARROW_3, MIXED))
