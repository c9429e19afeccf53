"""Which way a figure is good follows from whole words of its name and unit, or from nobody."""

from __future__ import annotations

import pytest

from vlbench.record.directions import Better, better_of

HIGHER = [
    "images_per_s", "tokens_s", "tput", "it_s", "mfu", "GFLOPS", "accuracy", "speedup", "hit_rate", "min_throughput",
    "requestThroughput", "tokens per second", "tokens/joule", "qps", "MB/s", "decode (tok/s)", "Output tok/s/gpu",
]  # fmt: skip
LOWER = [
    "ms/step", "s/sample", "p99_ttft_ms", "errors/s", "miss_rate", "us_per_token", "bytes/token", "host_syncs",
    "time_to_first_token", "peak_memory", "loss", "max_latency", "s/it",
]  # fmt: skip
UNKNOWN = ["value", "encode", "images", "accuracy_time_ms", "tokens_per_request", "rate", "flops"]


@pytest.mark.parametrize("name", HIGHER)
def test_more_is_better(name: str) -> None:
    assert better_of(name) is Better.HIGHER


@pytest.mark.parametrize("name", LOWER)
def test_less_is_better(name: str) -> None:
    assert better_of(name) is Better.LOWER


@pytest.mark.parametrize("name", UNKNOWN)
def test_nobody_knows(name: str) -> None:
    assert better_of(name) is None


@pytest.mark.parametrize(
    ("name", "unit", "better"),
    [
        ("encode", "ms", Better.LOWER),
        ("rate", "req/s", Better.HIGHER),
        ("speed", "tokens/sec/user", Better.HIGHER),
        ("size", "MiB", Better.LOWER),
        ("latency", "tokens/s", None),
        ("throughput", "ms", None),
        ("wall", "min", Better.LOWER),
    ],
)
def test_the_unit_speaks_too(name: str, unit: str, better: Better | None) -> None:
    assert better_of(name, unit) is better
