"""One call a layer: what it is told, what it asks of a GPU, and what it gives without one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
import torch
from torch import Tensor

from tests.implementations.grids import MIXED
from tests.implementations.optimized.plans import plan_of
from tests.implementations.towers import NARROW_2_5, NARROW_3, name_of, weights_of
from vlbench.counting_device import CountingDevice
from vlbench.implementations import build_tower
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.optimized import OptimizedVisionTower
from vlbench.implementations.optimized.varlen import varlen_attention
from vlbench.implementations.weights import SharedTensors
from vlbench.record.counts import Counts

SENT = ("host-grid", "pinned-h2d", "packed-h2d", "device-pos-ids")
"""With these nothing else waits but attention."""


def tower(*flags: str, config: VisionConfig = NARROW_2_5) -> OptimizedVisionTower:
    made = build_tower(config, flags, weights_of(config), "cuda")
    assert isinstance(made, OptimizedVisionTower)
    return made


@pytest.mark.parametrize("more", [(), ("host-seqlens",), ("no-empty-windows",), ("host-grid", "host-seqlens")])
def test_bounds_and_the_longest_segment_of_a_plan(more: tuple[str, ...]) -> None:
    plan = plan_of(tower("varlen", "host-max-seqlen", *more), MIXED)
    lengths = [h * w for t, h, w in MIXED for _ in range(t)]
    assert plan.windows is not None
    for segments, longest in ((plan.frames, max(lengths)), (plan.windows, 64)):
        assert segments.cu_seqlens is not None
        assert segments.cu_seqlens.dtype is torch.int32
        assert segments.longest == longest == int(segments.cu_seqlens.diff().max())
        assert segments.cu_seqlens.tolist() == list(segments.bounds)
        assert int(segments.cu_seqlens.diff().min()) > 0
    assert plan.frames.cu_seqlens is not None
    assert plan.frames.cu_seqlens.diff().tolist() == lengths
    assert plan_of(tower("varlen", *more), MIXED).frames.longest is None


def test_the_operator_is_registered_under_the_packages_own_name() -> None:
    assert str(varlen_attention._opoverload) == "vlbench_implementations.varlen_attention.default"
    torch.library.opcheck(varlen_attention, _sample(), test_utils=("test_schema", "test_faketensor"))


@cache
def _sample() -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
    q, k, v = torch.randn(3, 12, 2, 8, generator=torch.Generator().manual_seed(0))
    return q, k, v, torch.tensor([0, 4, 4, 12], dtype=torch.int32), 8


def test_an_empty_segment_gives_nothing() -> None:
    q, k, v, bounds, longest = _sample()
    dense = torch.tensor([0, 4, 12], dtype=torch.int32)
    assert torch.equal(varlen_attention(q, k, v, bounds, longest), varlen_attention(q, k, v, dense, longest))


@pytest.fixture(scope="module")
def device() -> Iterator[CountingDevice]:
    with CountingDevice("ghost", "sm_90") as opened:
        yield opened


def counted(device: CountingDevice, dtype: torch.dtype, *flags: str, config: VisionConfig = NARROW_2_5) -> Counts:
    """The second forward."""
    shapes = {key: device.pixels(tuple(each.shape), dtype) for key, each in weights_of(config).items()}
    module = device.build(lambda: build_tower(config, flags, SharedTensors(shapes), "cuda"))
    pixels = device.pixels((sum(t * h * w for t, h, w in MIXED), config.patch_dim), dtype)
    with torch.inference_mode():
        for _ in range(2):
            with device.count() as counter:
                module(pixels, torch.tensor(MIXED))
    return counter.report


@pytest.mark.parametrize("config", [NARROW_2_5, pytest.param(NARROW_3, marks=pytest.mark.slow)], ids=name_of)
def test_one_call_of_torchs_kernel_a_layer_and_a_wait_unless_the_plan_knows(
    device: CountingDevice, config: VisionConfig
) -> None:
    alone = counted(device, torch.bfloat16, *SENT, "varlen", config=config)
    told = counted(device, torch.bfloat16, *SENT, "varlen", "host-max-seqlen", config=config)
    for counts in (alone, told):
        assert counts.complete
        assert counts.total.attention_calls == counts.operations["torch_attn::_varlen_attn"] == config.depth
        assert counts.total.attention_plans == 0
    assert alone.total.read_backs - told.total.read_backs == config.depth
    assert alone.total.device_operations - told.total.device_operations == 2 * config.depth


def test_in_fp32_a_gpu_is_asked_for_each_segment(device: CountingDevice) -> None:
    counts = counted(device, torch.float32, *SENT, "varlen", "host-max-seqlen")
    assert counts.total.attention_calls > NARROW_2_5.depth
    assert "torch_attn::_varlen_attn" not in counts.operations


def test_torch_is_called_with_bounds_and_lengths_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own operator checks what it is given on tensors without memory."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        q, k, v = (torch.empty(12, 2, 80, device="cuda", dtype=torch.bfloat16) for _ in range(3))
        bounds = torch.empty(4, device="cuda", dtype=torch.int32)
        from torch.nn.attention.varlen import varlen_attn

        attended = varlen_attn(q, k, v, bounds, bounds, 6, 6)
        assert isinstance(attended, Tensor)
        assert attended.shape == varlen_attention(q, k, v, bounds, 6).shape == (12, 2, 80)
