"""What it costs to read one event of the torch profiler: raw, as vlbench does, and by torch's own events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from vlbench.profiling.trace import operators, raw_records

CALLS = 5000


def raw(profiler: Any) -> dict[str, int]:
    """Read as `vlbench profile --tool torch` does."""
    return {one.name: one.calls for one in operators(raw_records(profiler) or ())}


def of_torch(profiler: Any) -> dict[str, int]:
    """Read as torch's documentation has it."""
    averages = [one for one in profiler.key_averages() if one.key.startswith("aten::")]
    return {one.key.removeprefix("aten::"): one.count for one in averages}


@pytest.mark.parametrize(("read", "most_us"), [(raw, 15), (of_torch, None)])
def test_reading_an_event(
    benchmark: BenchmarkFixture, read: Callable[[Any], dict[str, int]], most_us: float | None
) -> None:
    def profiled() -> tuple[tuple[Any], dict[str, Any]]:
        x = torch.ones(8)
        with torch.profiler.profile() as profiler:
            for _ in range(CALLS):
                x[:4].add_(1)
        return (profiler,), {}

    found = benchmark.pedantic(read, setup=profiled, rounds=3)
    assert (found["slice"], found["add_"]) == (CALLS, CALLS)
    if benchmark.stats:
        microseconds = benchmark.stats.stats.min / sum(found.values()) * 1e6
        benchmark.extra_info["us per event"] = round(microseconds, 1)
        assert most_us is None or microseconds < most_us
