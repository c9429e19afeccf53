"""Tables that vLLM's and SGLang's serving benchmarks print."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlbench.errors import UsageError
from vlbench.readers import read
from vlbench.record.directions import Better
from vlbench.record.runs import Metric

from .samples import PRINTED, VLLM_TABLE
from .test_formats import sample
from .test_readers import one, written


def test_a_table_of_sglang_has_the_keys_of_its_files(tmp_path: Path) -> None:
    run = sample(tmp_path, "serving-table")
    assert {name: metric.value for name, metric in run.metrics.items()} == {
        "request_throughput": 8.59,
        "input_throughput": 3649.26,
        "output_throughput": 8800.81,
        "total_throughput": 12450.07,
        "median_e2e_latency_ms": 34093.57,
        "median_ttft_ms": 16112.75,
        "p99_ttft_ms": 40711.51,
        "median_itl_ms": 18.33,
        "p95_itl_ms": 40.2,
        "p99_itl_ms": 43.38,
    }
    assert run.conditions["backend"] == "sglang-oai-chat"
    assert run.conditions["total_input_tokens"] == "214424.0"
    assert run.answered["completed"] == 505
    assert not run.fault


def test_a_table_of_vllm(tmp_path: Path) -> None:
    run = sample(tmp_path, "serving-table vllm")
    assert run.metrics["total_token_throughput"] == Metric("total_token_throughput", 394.79, "tokens/s", Better.HIGHER)
    assert run.metrics["p99.9_tpot_ms"].value == 51.3
    assert run.conditions["num_prompts"] == "200"


def test_several_tables_are_several_runs(tmp_path: Path) -> None:
    runs = read(written(tmp_path, "\n".join(PRINTED)))
    assert [run.metrics["total_throughput"].value for run in runs] == [12450.07, 12096.72, 11949.28]


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        (VLLM_TABLE.replace("requests:                     200", "requests: 188"), "12 of its requests failed"),
        (
            PRINTED[0].replace("Benchmark duration", "Failed requests:  5\nBenchmark duration"),
            "5 of its requests failed",
        ),
        *(
            (f"{told}\n{PRINTED[0]}", "495 of its requests failed")
            for told in (
                "python3 -m sglang.bench_serving --num-prompts 1000",
                "vllm bench serve --num-prompts '1000' --seed 7",
                "vllm bench serve --num-prompts 1,000 --seed 7",
                "vllm bench serve --num-prompts 1k",
                'before: {"num_prompts": 1000, "seed": 7}',
                "Total requests: 1000",
            )
        ),
        (
            PRINTED[0].replace("Benchmark duration", "Total requests: 1,000\nBenchmark duration"),
            "495 of its requests failed",
        ),
        (PRINTED[0].replace("P99 ITL", "\nFailed requests: 5\nP99 ITL"), "5 of its requests failed"),
    ],
)
def test_lost_requests_are_seen_in_a_table(tmp_path: Path, table: str, fault: str) -> None:
    assert one(written(tmp_path, table)).fault == fault


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("12450.07", "nan", "total_throughput is nan, not a number"),
        ("12450.07", "12.450,07", "total_throughput is '12.450,07', not a number"),
        ("12450.07", "12,45,0", "total_throughput is '12,45,0', not a number"),
        ("505", "many", "completed is 'many', not a number"),
        ("505", "-5", "completed holds -5.0, below zero"),
        ("12450.07", "-12450.07", "total_throughput holds -12450.07, below zero"),
        ("Successful requests:                     505\n", "", "completed is not told"),
        ("P99 ITL (ms)", "P95 ITL (ms)", "'p95_itl_ms' is there twice"),
        ("P99 ITL (ms):", "P99 ITL (ms) ", "holds 'P99 ITL .ms. 43.38', no name and value"),
        ("P99 ITL (ms):", "---P99 ITL (ms) ", "holds '---P99 ITL .ms. 43.38', no name and value"),
        ("P99 ITL (ms)", "=====\nP99 ITL (ms)", "'P99 ITL .ms.: 43.38' is outside of the table"),
        ("P99 ITL (ms)", "=====\n\nFailed requests: 5\nP99 ITL (ms)", "'Failed requests: 5' is outside of the table"),
    ],
)
def test_a_table_that_is_damaged_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(written(tmp_path, PRINTED[0].replace(old, new)))


def test_commas_between_thousands_are_read_and_an_unknown_label_is_named(tmp_path: Path) -> None:
    table = PRINTED[0].replace("12450.07", "12,450.07").replace("Max ITL", "Warp ITL rate")
    run = one(written(tmp_path, table))
    assert run.metrics["total_throughput"].value == 12450.07
    assert run.unread == ("warp_itl_rate_ms",)


def test_a_quote_that_the_log_opens_hides_no_table(tmp_path: Path) -> None:
    log = '"' + "x" * 100 + ("\n" + "x" * 100) * 1500 + "\n"
    assert one(written(tmp_path, log + VLLM_TABLE)).metrics == one(written(tmp_path, VLLM_TABLE)).metrics
