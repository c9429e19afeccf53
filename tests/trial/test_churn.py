from __future__ import annotations

import torch
from hypothesis import given, strategies as st

from vlbench.implementations.preprocessing import Grid, Images, Preprocessing
from vlbench.trial.churn import JITTER, churn_inputs

sides = st.integers(1, 10).map(lambda cells: 2 * cells)
grid_lists = st.lists(st.tuples(st.integers(1, 3), sides, sides), min_size=1, max_size=4)
FED = Preprocessing(patch_size=1, temporal_patch_size=1)
CPU = torch.device("cpu")


@given(grids=grid_lists, number=st.integers(0, 1000), seed=st.integers(0, 5))
def test_every_drawn_batch_can_be_fed_in_and_stays_near_its_grids(grids: list[Grid], number: int, seed: int) -> None:
    make = churn_inputs(grids, FED, torch.float32, CPU, seed, 7)
    entry = make(number)
    assert entry.pixels.shape == (sum(t * h * w for t, h, w in entry.grids), 3)
    assert len(entry.grids) == len(grids)
    for (t, h, w), (t0, h0, w0) in zip(entry.grids, grids, strict=True):
        assert t == t0
        assert h % 2 == w % 2 == 0
        assert min(h, w) >= 2
        assert max(abs(h - h0), abs(w - w0)) <= 2 * JITTER
    again = make(number)
    assert torch.equal(again.pixels, entry.pixels)
    assert again.grids == entry.grids


def test_grids_change_from_round_to_round_and_about_half_stay() -> None:
    make = churn_inputs([(1, 20, 20)], FED, torch.bfloat16, CPU, 0, 7)
    drawn = [make(number) for number in range(200)]
    kept = sum(entry.grids == [(1, 20, 20)] for entry in drawn)
    assert 80 <= kept <= 120
    assert len({tuple(entry.grids) for entry in drawn}) > 20
    assert drawn[0].pixels.dtype is torch.bfloat16


def test_recorded_calls_are_replayed_in_their_order_and_begin_anew() -> None:
    calls = [[(1, 4, 6)], [(2, 8, 8), (1, 2, 2)], [(1, 4, 6)]]
    make = churn_inputs([(1, 4, 6)], FED, torch.float32, CPU, 0, 7, calls)
    assert [make(number).grids for number in range(7)] == [*calls, *calls, calls[0]]
    assert make(1).pixels.shape == (132, 3)
    assert not torch.equal(make(0).pixels, make(2).pixels)
    whole = Images(8)
    assert churn_inputs([whole.grid], whole, torch.float32, CPU, 0, 7, calls)(1).pixels.shape == (4 + 1, 3, 8, 8)
