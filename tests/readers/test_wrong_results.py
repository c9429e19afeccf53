"""Results that are cut, edited or not understood: each is refused or named, by file and field."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from vlbench.errors import UsageError
from vlbench.readers import read
from vlbench.readers.document import check_told

from .samples import (
    ASV,
    BM,
    DUMPED,
    GOOGLE,
    LATENCY,
    LATENCY_PRINTED,
    LIST,
    LM_EVAL_TABLE,
    MM_PROCESSOR,
    MM_TABLE,
    THROUGHPUT,
)
from .test_readers import AIPERF, AIPERF_CSV, HYPERFINE, PYTEST_BENCHMARK, SGLANG, VLLM, one, written

NAN = float("nan")
TIMED: dict[str, Any] = HYPERFINE["results"][0]  # type: ignore[index]


def without(result: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key not in keys}


def timed(**changes: object) -> dict[str, Any]:
    return {"results": [{**TIMED, **changes}]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({**VLLM, "completed": None}, "completed is not told, so requests may have been lost"),
        (without(VLLM, "completed", "failed"), "completed is not told"),
        ({**VLLM, "failed": -5}, "failed holds -5, below zero"),
        ({**VLLM, "median_ttft_ms": -80.0}, "median_ttft_ms holds -80.0, below zero"),
        ({**VLLM, "request_goodput": -1.0}, "request_goodput holds -1.0, below zero"),
        ({**VLLM, "mean_ttft_ms": -90.0}, "mean_ttft_ms holds -90.0, below zero"),
        ({**VLLM, "total_input_tokens": -7}, "total_input_tokens holds -7, below zero"),
        ({**VLLM, "itls": [[0.1], [0.1, -0.2]]}, "itls holds -0.2, below zero"),
        ({**VLLM, "duration": -11.6}, "duration holds -11.6, below zero"),
        ({**SGLANG, "total_output_tokens_retokenized": "-9"}, "total_output_tokens_retokenized holds -9.0, below zero"),
        ({**VLLM, "success": [False] * 200}, "success has 0 true and completed is 200"),
        (
            {**VLLM, "completed": 188, "failed": 12, "success": [True] * 200},
            "success has 200 true and completed is 188",
        ),
        ({**VLLM, "success": ["yes"] * 200}, "success is .'yes', .* not a list of what each request came to"),
        ({**SGLANG, "success": False}, "success is False, not a list"),
        (
            {**AIPERF, "request_latency": {"avg": 9.0, "p50": -5.0, "unit": "ms"}},
            "request_latency: p50 holds -5.0, below",
        ),
        ({**AIPERF, "request_throughput": {"avg": -13.5}}, "request_throughput: avg holds -13.5, below zero"),
        ({**AIPERF, "output_sequence_length": {"avg": -9.0, "unit": "tokens"}}, "length: avg holds -9.0, below zero"),
        ({**MM_PROCESSOR, "mean_e2el_ms": -9.0}, "mean_e2el_ms: input should be greater than or equal to 0"),
        (
            {**MM_PROCESSOR, "encoder_summary": {"total_encoder_calls": -9}},
            "total_encoder_calls: input should be greater",
        ),
        (MM_TABLE.replace("30.50", "-30.50"), "median of apply_hf_processor_secs holds -30.5, below zero"),
        ({**LATENCY, "avg_latency": -1.3}, "avg_latency: input should be greater than 0"),
        (LATENCY_PRINTED.replace("1.4726", "-1.4726"), "50% percentile latency holds -1.4726"),
        ({**THROUGHPUT, "total_num_tokens": -5}, "total_num_tokens holds -5.0, below zero"),
        ({**GOOGLE, "benchmarks": [{**BM, "iterations": -1}]}, "benchmarks.0.iterations: input should be greater"),
        ({**ASV, "results": {"time_x": [[-3.0], []]}}, "'time_x' holds -3, below zero"),
        (
            {**ASV, "results": {"time_x": [[2.0], [], "1"] + [None] * 8 + [[[-1.0, 2.0, 3.0]]]}},
            "'time_x' holds -1, below",
        ),
        ([{**DUMPED[0], "value": -12.5}], "'T.test_a.encode_latency_ms' holds -12.5, below zero"),
        (json.dumps([{**LIST[0], "value": -50.5}]), "'encode' holds -50.5, below zero"),
        ("name,value\na_ms,12\na_ms,-12\na_ms,13\n", "'a_ms' holds -12, below zero"),
        ("name,value,unit,better\na,-12,images/s,higher\n", "'a' holds -12, below zero"),
        ("latency: -17.25 +- 0.72 ms (n=3)\n", "'latency' holds -17.25, below zero"),
        ({**VLLM, "failed": 0.5}, "failed is 0.5, not a count"),
        ({**VLLM, "completed": 300}, "completed is 300 of num_prompts 200"),
        ({**VLLM, "errors": {"a": 3}}, "errors is .* not a list"),
        ({**VLLM, "request_rate": NAN}, "request_rate is nan"),
        ({**VLLM, "mean_ttft_ms": NAN}, "mean_ttft_ms is nan"),
        ({**VLLM, "ttfts": [0.1, NAN]}, r"ttfts is \[0.1, nan\]"),
        ({**VLLM, "ttfts": [0.1, "soon"]}, "ttfts holds 'soon'"),
        ({**VLLM, "failed": 50, "failed:": 0}, "'failed' is there with and without a colon; give it"),
        ({**VLLM, "median_ttft_ms:": 40.0}, "'median_ttft_ms' is there with and without a colon"),
        ({**VLLM, "ttfts": [0.18, 0.181, 0.179]}, "'median_ttft_ms' has a median of 80 and its samples one of 180"),
        ({**VLLM, "duration": 23.2}, "request_throughput is 17.25, but completed is 200 in 23.2 s of duration"),
        ({**VLLM, "total_output_tokens": 9000}, "output_throughput is 2100.5, but total_output_tokens is 9000"),
        (without(VLLM, "model_id"), "is nearly in the format .*vllm, but lacks model_id; is the file whole"),
        (without(SGLANG, "completed"), "is nearly in the format sglang, but lacks completed"),
        ({**AIPERF, "error_summary": [{"code": 500}]}, "error_summary is .* not errors with their count"),
        ({**AIPERF, "error_summary": [{"count": -3}]}, "error_summary is -3, not a count"),
        ({**AIPERF, "error_request_count": {"avg": "many"}}, "error_request_count is 'many'"),
        ({**AIPERF, "was_cancelled": "false"}, "was_cancelled is 'false', neither true nor false"),
        ({**AIPERF, "output_sequence_length": {"avg": NAN}}, "output_sequence_length: avg is nan"),
        (AIPERF_CSV.replace("Count,0", "Count,many"), "avg of error_request_count is 'many'"),
        (AIPERF_CSV.replace("580.00", "nan"), "p50 of request_latency is 'nan'"),
        (timed(exit_codes=[]), "'./old' has 0 exit codes for 3 times"),
        (timed(exit_codes=[0]), "'./old' has 1 exit codes for 3 times"),
        (timed(median="1.0"), "results.0.median: input should be a valid number"),
        (timed(median=-1.0), "results.0.median: input should be greater than 0"),
        (timed(mean=-1.0), "results.0.mean: input should be greater than 0"),
        (timed(median=NAN), "results.0.median: input should be a finite number"),
        (timed(times=[1.0, NAN, 1.0]), "results.0.times.1: input should be a finite number"),
        (timed(median=0.1), "'./old' has a median of 0.1 and its samples one of 1"),
        (
            {**PYTEST_BENCHMARK, "benchmarks": [{"fullname": "a", "stats": {"median": True}}]},
            "benchmarks.0.stats.median: input should be a valid number",
        ),
        (without(PYTEST_BENCHMARK, "machine_info"), "is nearly in the format pytest-benchmark, but lacks machine_info"),
        ("9,154\n9,396\n10,242\n", "line 1 is '9,154', two numbers or one with a comma"),
        ("latency_ms;12,5\nlatency_ms;12,7\n", "line 1 is 'latency_ms;12,5', which has semicolons or tabs, or a num"),
        ("a_ms,12\na_ms\t12,5\n", r"line 2 is 'a_ms\\t12,5', which has semicolons or tabs, or a number with a comma"),
        ("0,720\n0,810\n", "line 1 is '0,720', two numbers or one with a comma"),
        ('name,value\na_s,"0,720"\n', "line 2 is 'a_s,0,720'; each line needs a number"),
        ('name,value\na_ms,"1,23"\n', "line 2 is 'a_ms,1,23'; each line needs a number"),
        ("name,value,host\na_ms,1,x\n", "the column 'host' is none of name, value, unit, better, run"),
        (LM_EVAL_TABLE.replace("0.0163", "1e-200"), "'mmmu_val acc' holds 1e-200, which is no measurement"),
        (LM_EVAL_TABLE.replace("0.0163", "1e59"), "stderr of 'mmmu_val acc' is 1e.59, which no share has"),
        ("t: 1 +- 1e200 ms (n=3)\n", "'t' holds 1e.200, which is no measurement"),
        ("t: 1 +- 1e-90 ms (n=3)\n", "'t' holds 1e-90, which is no measurement"),
        ({**VLLM, "median_ttft_ms": 1e99}, "'median_ttft_ms' holds 1e.99, which is no measurement"),
        (f"MMMU: {'1' * 4000}/7\n", "MMMU is 'inf', not a number"),
        ({**VLLM, "median_ttft_ms": "8_0"}, "median_ttft_ms is '8_0', not a number"),
        ({**VLLM, "median_ttft_ms": "\u0668\u0660"}, "median_ttft_ms is .*, not a number"),
        ("name,value\na_ms,1_0\n", "line 2 is 'a_ms,1_0'; each line needs a number"),
        ("name,mean,std,n\na_ms,1,0.1,1_0\n", "row 1: n is '1_0', not a number"),
        ("a_ms: 17 +- 0.72 (n=\u0663)\n", "line 1 is no mean and deviation of n runs"),
        ('name,value\n"' + "a\n" * 100_000, "line 2 is 'a'; each line needs a number"),
        ('name,mean,std,n\n"' + "a\n" * 100_000, "row 1: mean is None, not a number"),
        (AIPERF_CSV + "Metric,avg\nRequest Throughput (x),9\n", "'request_throughput' is there twice"),
        ("a: 17 +- 0.72 ms (n=99999999999)\n", "no deviation between 99999999999 runs"),
    ],
)
def test_what_is_cut_or_edited_is_refused(tmp_path: Path, content: object, message: str) -> None:
    path = written(tmp_path, content, "wrong.file")
    with pytest.raises(UsageError, match=message) as caught:
        read(path)
    assert "wrong.file" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({**AIPERF, "error_request_count": 7}, "7 of its requests failed"),
        ({**AIPERF, "error_summary": {"500": 3, "timeout": 1}}, "4 of its requests failed"),
        ({**AIPERF, "error_summary": {"error_details": {"code": 500}, "count": 3}}, "3 of its requests failed"),
        ({**AIPERF, "input_config": {"loadgen": {"request_count": 250}}}, "50 of its requests failed"),
        ({**VLLM, "failed": "150"}, "150 of its requests failed"),
        (timed(exit_codes=[0, None, 0]), "'./old' ended with an error"),
        ({**VLLM, "failed_requests": 12}, "failed_requests is 12, so requests were lost"),
        ({**VLLM, "numTimedOut": 0, "timed_out": "3"}, "timed_out is 3, so requests were lost"),
        ({**SGLANG, "error_rate": 0.1}, "error_rate is 0.1, so requests were lost"),
        ({**SGLANG, "aborted": ["a", "b"]}, "aborted holds 2, so requests were lost"),
        ({**AIPERF, "rejected": {"unit": "requests", "avg": 4.0}}, "rejected is 4, so requests were lost"),
        ({**AIPERF, "timeouts": 2}, "timeouts is 2, so requests were lost"),
        ({**MM_PROCESSOR, "num_errors": 1}, "num_errors is 1, so requests were lost"),
        ({**SGLANG, "failedRequests": 2}, "failedRequests is 2, so requests were lost"),
        ({**SGLANG, "request_timeout_count": 2}, "request_timeout_count is 2, so requests were lost"),
        ({**SGLANG, "request_errors": ["", "reset"]}, "request_errors holds 1, so requests were lost"),
        ({**SGLANG, "completed": 90, "success": [True] * 90 + [False] * 10}, "10 of its requests failed"),
        ({**SGLANG, "completed": 0, "success": [False] * 100}, "100 of its requests failed"),
        ({**SGLANG, "input_lens": [9] * 112}, "12 of its requests failed"),
    ],
)
def test_lost_work_is_a_fault(tmp_path: Path, content: object, fault: str) -> None:
    assert one(written(tmp_path, content)).fault == fault


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rejected_draft_tokens", 9),
        ("tried_again", 9),
        ("timeout", 600),
        ("request_timeout_s", "600"),
        ("max_failures", 3),
        ("error_threshold", 0.05),
        ("error_bars_ms", 9),
        ("error", 0.5),
        ("error_messages", ["", ""]),
        ("request_errors", ["", ""]),
        ("failed_requests", -1),
        ("lost_requests", "inf"),
    ],
)
def test_what_may_be_no_request_is_named_alone(tmp_path: Path, key: str, value: object) -> None:
    run = one(written(tmp_path, {**VLLM, key: value}))
    assert (run.fault, run.unread) == ("", (key,))


def test_a_text_in_another_encoding_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("latency_ms,12.5\n", encoding="utf-16")
    with pytest.raises(UsageError, match=r"a\.csv: text in UTF-16, as PowerShell writes it; save it as UTF-8"):
        read(str(path))
    path.write_bytes("name,value,unit\na,1,µs\n".encode("cp1252"))
    with pytest.raises(UsageError, match=r"a\.csv is not text in UTF-8; name a result file"):
        read(str(path))


def test_both_signs_for_micro_are_one_unit(tmp_path: Path) -> None:
    micro, greek = (one(written(tmp_path, f"name,value,unit\na,1,{sign}s\n", f"{sign}.csv")) for sign in "\u00b5\u03bc")
    assert micro.metrics == greek.metrics


@pytest.mark.parametrize(
    ("content", "unread"),
    [
        ({**SGLANG, "warp_factor": 9}, "warp_factor"),
        ({**AIPERF, "warp": {"unit": "x", "avg": 3.0}}, "warp"),
        ({**AIPERF, "gpu_power": {"unit": "W", "avg": 3.0}}, "gpu_power"),
        ({**AIPERF, "total_wait": {"unit": "ms", "avg": 3.0}}, "total_wait"),
        ({**AIPERF, "hit_ratio": 0.5}, "hit_ratio"),
        ({**AIPERF, "request_latency": {"avg": 1.0, "p99": 2.0}}, "request_latency without p50"),
        (timed(zap=1), "zap"),
        ({"results": [without(TIMED, "exit_codes")]}, "no exit codes, so failures would not show"),
        ({**PYTEST_BENCHMARK, "warp": 9}, "warp"),
    ],
)
def test_what_is_not_understood_is_named(tmp_path: Path, content: object, unread: str) -> None:
    assert one(written(tmp_path, content)).unread == (unread,)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("loadgen", "concurrency"), 8),
        (("loadgen", "request_rate"), 4.0),
        (("endpoint", "model_names"), ["other"]),
        (("endpoint", "type"), "chat"),
        (("input", "prompt", "input_tokens", "mean"), 550),
    ],
)
def test_all_that_aiperf_was_asked_for_is_a_condition(tmp_path: Path, path: tuple[str, ...], value: object) -> None:
    config: Any = value
    for name in reversed(path):
        config = {name: config}
    run = one(written(tmp_path, {**AIPERF, "input_config": config}))
    assert run.conditions == {".".join(path).removeprefix("loadgen."): str(value)}


def test_where_a_run_was_written_is_no_condition(tmp_path: Path) -> None:
    config = {
        "output": {"artifact_directory": "runs/7"},
        "cli_command": "aiperf profile",
        "loadgen": {"concurrency": 1},
    }
    assert one(written(tmp_path, {**AIPERF, "input_config": config})).conditions == {"concurrency": "1"}


def test_lengths_of_prompts_are_a_condition(tmp_path: Path) -> None:
    runs = [one(written(tmp_path, {**VLLM, "input_lens": lengths})) for lengths in ([10, 20], [20, 10], [10, 20])]
    assert runs[0].conditions == runs[2].conditions != runs[1].conditions


def test_means_are_named_as_left_out(tmp_path: Path) -> None:
    means = {"mean_ttft_ms": 90.0, "mean_e2el_ms": None, "std_ttft_ms": 1.0}
    told = {name: value for name, value in VLLM.items() if not name.startswith("mean")}
    run = one(written(tmp_path, {**told, **means}))
    assert run.left_out == ("mean_ttft_ms",)
    assert not run.metrics.keys() & means.keys()


@pytest.mark.parametrize(
    ("name", "unit"), [("overhead", "ms"), ("latency_delta_ms", ""), ("mcc", ""), ("min_score", "")]
)
def test_a_difference_and_a_score_may_be_below_zero(tmp_path: Path, name: str, unit: str) -> None:
    path = written(tmp_path, f"name,value,unit,better\n{name},-1,{unit},lower\n")
    assert one(path).metrics[name].value == -1


def test_a_throughput_of_zero_is_kept(tmp_path: Path) -> None:
    """A gap between single tokens has nothing to measure; a server without any answer has."""
    run = one(written(tmp_path, {**VLLM, "request_throughput": 0, "duration": None}))
    assert run.metrics["request_throughput"].value == 0


@pytest.mark.parametrize(
    ("rate", "done", "seconds", "fits"),
    [
        (0.01, 4, 300.0, True),  # 0.0133, of which two decimals are printed
        (0.02, 4, 300.0, False),
        (1.005, 100, 100.0, True),
        (10.0, 992, 100.0, True),
        (10.0, 970, 100.0, False),  # further than it is rounded
    ],
)
def test_a_rate_is_its_work_over_its_time_as_far_as_both_are_printed(
    rate: float, done: int, seconds: float, fits: bool
) -> None:
    told = {"rate": rate, "done": done, "took": seconds}
    with nullcontext() if fits else pytest.raises(UsageError, match=r"rate is .*, but done is .*; was it edited\?"):
        check_told("a.json", [], told, {"rate": "done"}, "took")
