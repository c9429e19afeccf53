"""A full-size tower is counted in seconds: transformers' 7B on one 512x512 image, built and called."""

from __future__ import annotations

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from vlbench.counting.job import Point
from vlbench.counting.measure import build_ghost
from vlbench.counting_device import CountingDevice
from vlbench.record.counts import Counts
from vlbench.towers.resolve import resolve_tower

IMAGE = Point(scenario="grid", label="", grids=((1, 36, 36),))
SECONDS = 3


def test_transformers_7b(benchmark: BenchmarkFixture) -> None:
    pytest.importorskip("transformers.models.qwen2_5_vl.modeling_qwen2_5_vl")
    with CountingDevice("ghost") as device:

        def count() -> Counts:
            tower = resolve_tower("hf:qwen2.5-vl-7b")
            module = build_ghost(device, tower, torch.bfloat16)
            pixels = device.pixels(tower.fed.pixels_shape([(1, 36, 36)]), torch.bfloat16)
            with torch.inference_mode(), device.count() as counter:
                module(pixels, torch.tensor(IMAGE.grids))
            return counter.report

        counts = benchmark.pedantic(count, rounds=5, warmup_rounds=1)
    assert counts.total.attention_calls == 704
    if benchmark.stats is not None:
        assert benchmark.stats.stats.min < SECONDS
