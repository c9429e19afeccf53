from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings, strategies as st

from tests.implementations.grids import Batch, batches
from tests.implementations.optimized.plans import plan_of, tower_for
from tests.implementations.towers import NARROW, name_of
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.optimized.segments import HostBounds, Run, Segments, powers_of_two


@given(st.lists(st.sampled_from([4, 8, 16, 64]), min_size=1, max_size=20))
def test_runs_are_the_longest_stretches_of_equal_segments(lengths: list[int]) -> None:
    bounds = [0, *torch.tensor(lengths).cumsum(0).tolist()]
    runs = Segments(bounds).runs
    spelled_out = [start + i * length for start, count, length in runs for i in range(count)]
    assert spelled_out == bounds[:-1]
    assert [length for _, count, length in runs for _ in range(count)] == lengths
    assert all(before.length != after.length for before, after in pairwise(runs))


@given(st.integers(1, 5000))
def test_batches_on_a_ladder_hold_every_segment_and_few_of_them_twice(segments: int) -> None:
    batches = powers_of_two(segments)
    assert 1 <= len(batches) <= 2
    assert all(len(batch).bit_count() == 1 for batch in batches)
    assert {each for batch in batches for each in batch} == set(range(segments))
    assert [batch.start for batch in batches] == sorted(batch.start for batch in batches)
    assert sum(map(len, batches)) - segments < segments / 3


def test_a_run_on_a_ladder_reaches_back_into_the_one_before() -> None:
    bounds = [*range(0, 56, 8), 60]
    assert Segments(bounds, batches=powers_of_two).runs == [Run(0, 4, 8), Run(32, 2, 8), Run(48, 1, 12)]
    assert Segments(list(range(0, 64, 8)), batches=powers_of_two).runs == [Run(0, 4, 8), Run(24, 4, 8)]


def test_runs_need_bounds_on_the_host() -> None:
    with pytest.raises(TypeError, match="bounds on the host"):
        _ = Segments(torch.tensor([0, 4])).runs


def test_host_bounds_drop_empty_segments() -> None:
    assert HostBounds().final(torch.tensor([0, 4, 4, 4, 8, 8]), lambda tensor: tensor) == [0, 4, 8]


def test_segments_brought_to_the_host_drop_empty_ones() -> None:
    on_host = Segments(torch.tensor([0, 4, 4, 12])).on_host()
    assert (on_host.bounds, on_host.longest) == ([0, 4, 12], 8)


@pytest.mark.parametrize("config", NARROW, ids=name_of)
@pytest.mark.parametrize("flags", [(), ("host-grid",), ("host-seqlens",), ("host-grid", "host-seqlens")], ids="+".join)
@given(batch=batches)
@settings(max_examples=25)
def test_every_frame_is_a_segment(config: VisionConfig, flags: tuple[str, ...], batch: Batch) -> None:
    bounds = plan_of(tower_for(config, *flags), batch).frames.bounds
    assert isinstance(bounds, list) == ("host-seqlens" in flags)
    lengths = [h * w for t, h, w in batch for _ in range(t)]
    assert [int(bound) for bound in bounds] == [0, *torch.tensor(lengths).cumsum(0).tolist()]
    if isinstance(bounds, torch.Tensor):
        assert bounds.dtype == torch.int32
