from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, strategies as st
from torch import Tensor, nn

from tests.implementations.grids import Batch
from tests.implementations.optimized.plans import tower_for
from tests.implementations.towers import NARROW_2_5, reference_tower, run, weights_of
from vlbench.implementations import build_tower
from vlbench.implementations.optimized.attention import EqualSegmentsTogether, PreallocatedOutput, SegmentList
from vlbench.implementations.optimized.block_mask import OneMaskedCall
from vlbench.implementations.optimized.layout import Layout, WithViews
from vlbench.implementations.optimized.segments import Segments, all_at_once, powers_of_two
from vlbench.implementations.optimized.varlen import OneCall

DEEP = replace(NARROW_2_5, name="qwen2.5-vl-deep", depth=32, fullatt_block_indexes=(7, 15, 23, 31))
BATCHED = ("host-seqlens", "batched-windows")


class CountedAttention:
    def __init__(self) -> None:
        self.calls = 0
        self.original = F.scaled_dot_product_attention

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        self.calls += 1
        return self.original(q, k, v)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> CountedAttention:
    counter = CountedAttention()
    monkeypatch.setattr(F, "scaled_dot_product_attention", counter)
    return counter


@pytest.mark.parametrize(
    ("batch", "naive", "batched"),
    [
        # Windows of 8x8, 8x4, 4x8 and 4x4 patches, of which two have one size; frames in four layers.
        (((1, 36, 36),), 28 * 25 + 4, 28 * 3 + 4),
        (((1, 32, 32),), 28 * 16 + 4, 28 * 1 + 4),
        (((2, 16, 16), (1, 16, 16)), 28 * 12 + 4 * 3, 28 * 1 + 4),
    ],
    ids=str,
)
def test_attention_calls_at_full_depth(counted: CountedAttention, batch: Batch, naive: int, batched: int) -> None:
    def calls(tower: nn.Module) -> int:
        before = counted.calls
        run(tower, DEEP, batch)
        return counted.calls - before

    assert calls(reference_tower(DEEP)) == naive
    assert calls(tower_for(DEEP, "sdpa-prealloc")) == naive
    assert calls(tower_for(DEEP, *BATCHED)) == batched
    assert calls(tower_for(DEEP, *BATCHED, "window-sort")) == batched


def test_a_layer_has_at_most_nine_sizes_of_windows(counted: CountedAttention) -> None:
    every_shape: Batch = tuple((1, 8 + 2 * a, 8 + 2 * b) for a in range(4) for b in range(4))
    for extra in ((), ("window-sort",)):
        before = counted.calls
        run(tower_for(replace(NARROW_2_5, fullatt_block_indexes=()), *BATCHED, *extra), NARROW_2_5, every_shape)
        assert counted.calls - before == 9 * NARROW_2_5.depth


@given(st.lists(st.sampled_from([4, 8, 8, 8, 16]), min_size=1, max_size=9), st.booleans(), st.booleans())
def test_every_way_attends_inside_segments_only(lengths: list[int], is_fake_batch: bool, on_ladder: bool) -> None:
    """Against softmax(q k^T / sqrt(d)) v over all patches, with -inf between segments, in fp64."""
    heads, head_dim, patches = 2, 8, sum(lengths)
    shape = (1, patches, heads, head_dim) if is_fake_batch else (patches, heads, head_dim)
    layout = Layout() if is_fake_batch else WithViews()
    generator = torch.Generator().manual_seed(patches)
    q, k, v = torch.randn(3, *shape, generator=generator, dtype=torch.float64)
    segment = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    scores = torch.einsum("qhd,khd->hqk", q.view(-1, heads, head_dim), k.view(-1, heads, head_dim)) / head_dim**0.5
    scores = scores.masked_fill(segment[:, None] != segment[None, :], -torch.inf)
    wanted = torch.einsum("hqk,khd->qhd", scores.softmax(-1), v.view(-1, heads, head_dim))
    bounds = [0, *torch.tensor(lengths).cumsum(0).tolist()]
    segments = Segments(bounds, batches=powers_of_two if on_ladder else all_at_once)
    sent = Segments(torch.tensor(bounds, dtype=torch.int32))
    ways = [(way(), segments) for way in (SegmentList, PreallocatedOutput, EqualSegmentsTogether)]
    for way, told in [*ways, (OneCall(), sent), (OneMaskedCall(), sent)]:
        result = way(q, k, v, told, layout)
        assert result.shape == shape
        torch.testing.assert_close(result.view(wanted.shape), wanted)


def test_on_a_ladder_the_batch_of_a_call_is_a_power_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: set[tuple[int, ...]] = set()
    attend = F.scaled_dot_product_attention

    def seen(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        shapes.add(tuple(q.shape))
        return attend(q, k, v)

    monkeypatch.setattr(F, "scaled_dot_product_attention", seen)

    def shapes_of(*more: str) -> set[tuple[int, ...]]:
        """Of all calls on strips of 3 to 12 windows."""
        shapes.clear()
        tower = build_tower(NARROW_2_5, (*BATCHED, *more), weights_of(NARROW_2_5), "cuda")
        for windows in range(3, 13):
            run(tower, NARROW_2_5, ((1, 8, 8 * windows),))
        return {shape for shape in shapes if shape[2] == 64}

    assert {batch for batch, *_ in shapes_of()} == set(range(3, 13))
    assert {batch for batch, *_ in shapes_of("window-ladder")} == {1, 2, 4, 8}


def test_without_cudnn_holds_inside_the_forward_alone_and_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed: list[tuple[bool, ...]] = []
    attend, cuda = F.scaled_dot_product_attention, torch.backends.cuda

    def seen(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        others = cuda.flash_sdp_enabled(), cuda.mem_efficient_sdp_enabled(), cuda.math_sdp_enabled()
        allowed.append((cuda.cudnn_sdp_enabled(), *others))
        return attend(q, k, v)

    monkeypatch.setattr(F, "scaled_dot_product_attention", seen)
    before = cuda.cudnn_sdp_enabled()
    assert before
    for flags, cudnn in (((), True), (("sdpa-flash",), False)):
        allowed.clear()
        tower = build_tower(NARROW_2_5, flags, weights_of(NARROW_2_5), "cuda")
        run(tower, NARROW_2_5, ((1, 8, 8),))
        assert set(allowed) == {(cudnn, True, True, True)}
        assert cuda.cudnn_sdp_enabled() == before
        monkeypatch.setattr(tower, "merger", None)
        with pytest.raises(TypeError):
            run(tower, NARROW_2_5, ((1, 8, 8),))
        assert cuda.cudnn_sdp_enabled() == before
