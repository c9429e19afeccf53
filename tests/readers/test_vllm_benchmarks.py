"""What vLLM's benchmarks of the encoder, of latency and of throughput save and print."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlbench.readers import read
from vlbench.record.directions import Better
from vlbench.record.runs import Metric

from .samples import LATENCY_PRINTED, MM_PROCESSOR, THROUGHPUT_PRINTED
from .test_formats import sample
from .test_readers import one, written


@pytest.mark.parametrize("name", ["vllm-mm-processor", "vllm-mm-processor printed"])
def test_mm_processor_times_the_stages_and_the_encoder(tmp_path: Path, name: str) -> None:
    run = sample(tmp_path, name)
    assert {each.name: (each.value, each.unit) for each in run.metrics.values()} == {
        "median_get_mm_hashes_secs": (0.3, "ms"),
        "p99_get_mm_hashes_secs": (0.9, "ms"),
        "median_apply_hf_processor_secs": (30.5, "ms"),
        "p99_apply_hf_processor_secs": (36.0, "ms"),
        "median_encoder_forward_secs": (11.5, "ms"),
        "p99_encoder_forward_secs": (15.0, "ms"),
        "median_num_encoder_calls": (1.0, "calls"),
        "p99_num_encoder_calls": (1.0, "calls"),
        "median_e2el": (900.0, "ms"),
        "p99_e2el": (980.0, "ms"),
    }


def test_mm_processor_loses_requests_and_stages_aloud(tmp_path: Path) -> None:
    assert one(written(tmp_path, MM_PROCESSOR | {"failed": 2, "completed": 8})).fault == "2 of its requests failed"
    none = {"a": {"mean": 0.0, "median": 0.0}}
    assert one(written(tmp_path, MM_PROCESSOR | {"mm_processor_stats": none})).unread == (
        "the stages, of which none was timed",
    )
    strange = MM_PROCESSOR["mm_processor_stats"] | {"x": {"median": 1.0, "mode": 2.0}}  # type: ignore[operator]
    assert one(written(tmp_path, MM_PROCESSOR | {"mm_processor_stats": strange, "warp": 1})).unread == (
        "mode of x",
        "warp",
    )


def test_latency_of_a_batch(tmp_path: Path) -> None:
    run = sample(tmp_path, "vllm-latency")
    assert run.metrics == {
        "median_latency": Metric("median_latency", 1.2, "s", Better.LOWER, (1.0, 1.2, 1.7)),
        "p90_latency": Metric("p90_latency", 1.6, "s", Better.LOWER),
        "p99_latency": Metric("p99_latency", 1.69, "s", Better.LOWER),
    }
    assert sample(tmp_path, "vllm-latency printed").metrics.keys() == run.metrics.keys()
    assert len(read(written(tmp_path, LATENCY_PRINTED + LATENCY_PRINTED.replace("1.4", "1.5")))) == 2


def test_throughput_offline(tmp_path: Path) -> None:
    run, pasted = sample(tmp_path, "vllm-throughput"), sample(tmp_path, "vllm-throughput printed")
    assert run.metrics["requests_per_second"] == Metric("requests_per_second", 34.14, "requests/s", Better.HIGHER)
    assert run.conditions == {"num_requests": "500"}
    assert pasted.metrics["output_tokens_per_second"].value == 8739.16
    assert (pasted.conditions, pasted.answered) == ({"total_prompt_tokens": "255648"}, {"total_output_tokens": 256000})
    warning = "WARNING: metrics are not accurate because image tokens are not counted. See issue 9778\n"
    assert one(written(tmp_path, warning + THROUGHPUT_PRINTED)).unread
