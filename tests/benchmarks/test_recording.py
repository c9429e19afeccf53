"""What it costs the caller to have a call of its tower written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import nn

import vlbench

CALLS, MOST_US = 1000, 5
GRIDS = [[1, 36, 36], [1, 52, 92]]


class Toy(nn.Module):
    """Does nothing, so that what is added shows."""

    def forward(self, pixels: torch.Tensor, grid_thw: Any) -> torch.Tensor:
        return pixels


@pytest.mark.parametrize("grids", [GRIDS, torch.tensor(GRIDS)], ids=["list", "tensor"])
def test_recording_a_call(benchmark: BenchmarkFixture, grids: Any, tmp_path: Path) -> None:
    toy, pixels = Toy(), torch.zeros(1, dtype=torch.bfloat16)

    def calls() -> None:
        for _ in range(CALLS):
            toy(pixels, grids)

    def seconds() -> float:
        from timeit import repeat

        return min(repeat(calls, number=1, repeat=30)) / CALLS

    bare = seconds()
    with vlbench.recording(tmp_path / "calls.jsonl") as record:
        record.wrap(toy)
        benchmark.pedantic(calls, rounds=30, warmup_rounds=1)
        assert record.missed == 0
    assert len((tmp_path / "calls.jsonl").read_text().splitlines()) == 1 + 31 * CALLS
    if benchmark.stats:
        microseconds = (benchmark.stats.stats.min / CALLS - bare) * 1e6
        benchmark.extra_info["us per call"] = round(microseconds, 2)
        assert microseconds < MOST_US
