"""Which way a figure is good follows from whole words of its name and unit, or from nobody."""

from __future__ import annotations

import pytest

from vlbench.record.directions import Better, better_of

HIGHER = [
    "images_per_s", "tokens_s", "tput", "it_s", "mfu", "GFLOPS", "accuracy", "speedup", "hit_rate", "min_throughput",
    "requestThroughput", "tokens per second", "tokens/joule", "qps", "MB/s", "decode (tok/s)", "Output tok/s/gpu",
    "GFLOP/s", "img/s", "imgs_s", "prompts_sec", "h2d_gb_s", "MB_s", "steps_s",
    "images processed per second", "pixels/s", "batches/s", "queries_completed_per_s",
]  # fmt: skip
LOWER = [
    "ms/step", "s/sample", "p99_ttft_ms", "errors/s", "miss_rate", "us_per_token", "bytes/token", "host_syncs",
    "time_to_first_token", "peak_memory", "loss", "max_latency", "s/it", "allocs/op",
    "time_to_recovery_s", "slow_path_ms", "batch_s", "encode_s", "pass_s", "latency_under_load_ms", "waits_s",
]  # fmt: skip
UNKNOWN = [
    "tokens per",
    "per token",
    "latency per",
    "requests per request",
    "ms per s",
    "s per s",
    "launches_per_s",
    "copies/second",
    "rate_s",
    "value",
    "encode",
    "images",
    "accuracy_time_ms",
    "tokens_per_request",
    "rate",
    "flops",
    "step_s",
    "hits_s",
    "cache_lookups_second",
    "requests_under_200ms",
    "frames within 16 ms",
    "pct_ttft_below_1s",
    "inverse_latency",
    "negative_loss",
    "latency_sla_attainment",
]


@pytest.mark.parametrize("name", HIGHER)
def test_more_is_better(name: str) -> None:
    assert better_of(name) is Better.HIGHER


@pytest.mark.parametrize("name", LOWER)
def test_less_is_better(name: str) -> None:
    assert better_of(name) is Better.LOWER


@pytest.mark.parametrize(
    "name",
    [
        "failed_requests_per_s", "dropped_frames_per_second", "cost_per_hour", "cache_evictions_per_second",
        "tokens_wasted_per_s", "usd_per_hour", "rejected_req/s", "context_switches_per_sec", "failed_requests",
    ],
)  # fmt: skip
def test_harm_and_cost_are_no_rate_of_work(name: str) -> None:
    assert better_of(name) is Better.LOWER


@pytest.mark.parametrize(
    "name",
    [
        "bytes_saved",
        "time_saved",
        "latency_improvement",
        "available_memory_mb",
        "loss_scale",
        "slo_ttft_ms",
        "start_time",
    ],
)
def test_what_turns_a_word_around_or_makes_a_setting_of_it_is_asked_for(name: str) -> None:
    assert better_of(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "crashes_per_hour", "breaks/s", "recompiles/s", "throttles_per_s", "oom_kills_per_hour", "collisions/s",
        "nans/s", "cold_starts_per_s", "interrupts/s", "rollbacks per hour", "5xx_per_s", "429_responses/s",
        "deadlocks/s", "cuda_oom/h", "restarts/h", "violations/min", "collections/s", "graph_breaks/s",
        "frames_behind_per_s", "5xx_requests_per_s",
        "time_per_hour", "crashes/joule", "tokens_discarded_per_s", "padding_tokens/s", "recomputed_tokens_per_s",
        "duplicate_images_per_s", "time_to_failure_s", "time_to_first_error_s", "time to crash (s)",
        "memory_headroom_gb", "headroom_gb", "time_left_s", "overlap_time", "compile_cache_time_hidden_ms",
    ],
)  # fmt: skip
def test_a_rate_of_an_unknown_noun_and_what_is_left_are_asked_for(name: str) -> None:
    assert better_of(name) is None


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
        ("failed_requests", "req/s", Better.LOWER),
        ("encode", "ms per s", None),
        ("encode", "s/s", None),
        ("time", "per s", None),
        ("latency", "s per", None),
        ("throughput", "per", None),
        ("encode", "1/s", None),
        ("req", "/ms", None),
        ("frames", "/s", None),
        ("throughput", "%", Better.HIGHER),
        ("graph_breaks", "breaks/s", None),
        ("link", "Gbit/s", Better.HIGHER),
        ("discarded", "tokens/s", None),
        ("encode", "padding tokens/s", None),
    ],
)
def test_the_unit_speaks_too(name: str, unit: str, better: Better | None) -> None:
    assert better_of(name, unit) is better
