"""Each format, through the door that every file takes: found out by content, read into runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vlbench.errors import UsageError
from vlbench.readers import READERS, read
from vlbench.readers.document import load
from vlbench.record.directions import Better
from vlbench.record.runs import Metric, Run

PYTEST_BENCHMARK = {
    "machine_info": {"node": "ci-7", "cpu": {"brand_raw": "Imaginary 9000", "count": 8}},
    "commit_info": {"id": "0", "dirty": False},
    "benchmarks": [
        {"name": "test_a", "fullname": "t.py::test_a", "stats": {"median": 0.2, "mean": 0.21, "data": [0.1, 0.2, 0.3]}},
        {"name": "test_b", "fullname": "t.py::test_b", "stats": {"median": 4.0, "mean": 4.0}},
    ],
    "datetime": "2025-01-01T00:00:00",
    "version": "5.1.0",
}
HYPERFINE = {
    "results": [
        {
            "command": "./old",
            "mean": 1.1,
            "stddev": 0.1,
            "median": 1.0,
            "times": [0.9, 1.0, 1.4],
            "exit_codes": [0, 0, 0],
        },
        {"command": "./new", "mean": 0.5, "stddev": None, "median": 0.5, "times": [0.5], "exit_codes": [0]},
    ]
}
VLLM = {
    "date": "20250101-000000",
    "backend": "openai-chat",
    "model_id": "some/model",
    "num_prompts": 200,
    "request_rate": "inf",
    "burstiness": 1.0,
    "max_concurrency": None,
    "duration": 11.6,
    "completed": 200,
    "failed": 0,
    "request_throughput": 17.25,
    "request_goodput": None,
    "output_throughput": 2100.5,
    "total_token_throughput": 9000.0,
    "mean_ttft_ms": 90.0,
    "median_ttft_ms": 80.0,
    "std_ttft_ms": 30.0,
    "p99_ttft_ms": 210.0,
    "median_itl_ms": 0.0,
    "p99.9_e2el_ms": 950.0,
}
SGLANG = {
    "backend": "sglang",
    "dataset_name": "random",
    "request_rate": 4.0,
    "max_concurrency": 16,
    "completed": 100,
    "duration": 25.0,
    "request_throughput": 4.0,
    "input_throughput": 4000.0,
    "output_throughput": 800.0,
    "total_throughput": 4800.0,
    "mean_e2e_latency_ms": 610.0,
    "median_e2e_latency_ms": 600.0,
    "p99_e2e_latency_ms": 900.0,
    "median_ttft_ms": 70.0,
    "concurrency": 12.5,
}
AIPERF = {
    "request_throughput": {"unit": "requests/sec", "avg": 13.5},
    "request_latency": {"unit": "ms", "avg": 655.0, "p50": 580.0, "p99": 938.0, "std": 117.0},
    "time_to_first_token": {"unit": "ms", "avg": 158.0, "p50": 78.7, "p99": 411.9},
    "output_token_throughput_per_user": {"unit": "tokens/sec/user", "avg": 190.0, "p50": 192.0},
    "output_sequence_length": {"unit": "tokens", "avg": 96.8, "p50": 97.0, "p99": 97.0},
    "benchmark_duration": {"unit": "sec", "avg": 15.2},
    "request_count": {"unit": "requests", "avg": 200.0},
    "was_cancelled": False,
    "error_summary": [],
    "error_request_count": None,
    "input_config": {"loadgen": {"concurrency": 100}},
}
AIPERF_CSV = """Metric,avg,min,max,p50,p99,std
Request Latency (ms),655.00,400.00,940.00,580.00,938.00,117.00
Time to First Token (ms),158.00,38.00,412.00,78.70,411.90,119.00
Output Token Throughput Per User (tokens/sec/user),190.00,160.00,210.00,192.00,209.00,9.00
Output Sequence Length (tokens),96.80,91.00,97.00,97.00,97.00,1.00

Metric,Value
Request Throughput (requests/sec),13.50
Error Request Count,0

Endpoint,GPU_Index,GPU_Name,GPU_UUID,Metric,avg
localhost:9401,0,Some GPU,GPU-1,GPU Power Usage (W),43.00
"""


def written(folder: Path, content: object, name: str = "result") -> str:
    """The path of a file with `content`: text as it is, a list as JSON lines, anything else as JSON."""
    path = folder / name
    if isinstance(content, list):
        content = "\n".join(json.dumps(each) for each in content)
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1), encoding="utf-8")
    return str(path)


def one(path: str) -> Run:
    runs = read(path)
    assert len(runs) == 1
    return runs[0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pytest-benchmark", PYTEST_BENCHMARK),
        ("hyperfine", HYPERFINE),
        ("vllm", VLLM),
        ("vllm", [VLLM, VLLM]),
        ("sglang", [SGLANG]),
        ("sglang", [SGLANG, SGLANG]),
        ("aiperf", AIPERF),
        ("aiperf", AIPERF_CSV),
        ("summary", "17.25 +- 0.72 ms (n=3)"),
        ("summary", "name,mean,std,n\na,1,0.1,3\n"),
        ("samples", "name,value\na,1\n"),
        ("samples", "latency_ms\n1.5\n"),
        ("samples", "1.5\n1.6\n"),
        ("samples", "a,1\na,2\n"),
    ],
)
def test_exactly_one_reader_recognises_a_file(tmp_path: Path, name: str, content: object) -> None:
    document = load(written(tmp_path, content))
    assert [reader.name for reader in READERS.values() if reader.recognises(document)] == [name]


def test_pytest_benchmark(tmp_path: Path) -> None:
    run = one(written(tmp_path, PYTEST_BENCHMARK))
    assert run.metrics == {
        "t.py::test_a": Metric("t.py::test_a", 0.2, "s", Better.LOWER, (0.1, 0.2, 0.3)),
        "t.py::test_b": Metric("t.py::test_b", 4.0, "s", Better.LOWER),
    }
    assert run.conditions == {"cpu": "Imaginary 9000"}


def test_hyperfine_times_are_samples_of_one_run(tmp_path: Path) -> None:
    run = one(written(tmp_path, HYPERFINE))
    assert run.metrics["./old"] == Metric("./old", 1.0, "s", Better.LOWER, (0.9, 1.0, 1.4))
    assert not run.fault
    failed = {"results": [{**HYPERFINE["results"][0], "exit_codes": [0, 1, 0]}]}
    assert one(written(tmp_path, failed)).fault == "'./old' ended with an error"


def test_vllm(tmp_path: Path) -> None:
    run = one(written(tmp_path, VLLM))
    assert run.metrics == {
        "request_throughput": Metric("request_throughput", 17.25, "requests/s", Better.HIGHER),
        "output_throughput": Metric("output_throughput", 2100.5, "tokens/s", Better.HIGHER),
        "total_token_throughput": Metric("total_token_throughput", 9000.0, "tokens/s", Better.HIGHER),
        "median_ttft_ms": Metric("median_ttft_ms", 80.0, "ms", Better.LOWER),
        "p99_ttft_ms": Metric("p99_ttft_ms", 210.0, "ms", Better.LOWER),
        "p99.9_e2el_ms": Metric("p99.9_e2el_ms", 950.0, "ms", Better.LOWER),
    }
    assert run.conditions == {
        "backend": "openai-chat",
        "model_id": "some/model",
        "num_prompts": "200",
        "request_rate": "inf",
        "burstiness": "1.0",
    }
    assert run.unread == ()


def test_vllm_appends_runs_to_one_file_and_details_become_samples(tmp_path: Path) -> None:
    detailed = {**VLLM, "ttfts": [0.07, 0.0, 0.08, 0.09]}
    runs = read(written(tmp_path, [VLLM, detailed], "all.json"))
    assert [run.source.rpartition("/")[2] for run in runs] == ["all.json result 1", "all.json result 2"]
    assert runs[1].metrics["median_ttft_ms"].samples == pytest.approx((70.0, 80.0, 90.0))
    assert runs[1].metrics["p99_ttft_ms"].samples == ()


@pytest.mark.parametrize(
    "failing",
    [
        {**VLLM, "completed": 188, "failed": 12},
        {key: value for key, value in {**VLLM, "completed": 188}.items() if key != "failed"},
        {**SGLANG, "errors": ["", "timed out"] * 12},
        {**SGLANG, "num_prompts": 112},
        {**VLLM, "failed": "12"},
        {**VLLM, "failed": 12.0},
        {**VLLM, "failed": None, "completed": 188},
    ],
)
def test_failed_requests_are_a_fault(tmp_path: Path, failing: dict[str, Any]) -> None:
    assert one(written(tmp_path, failing)).fault == "12 of its requests failed"


def test_a_count_of_failures_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="failed is 'many', not a number"):
        read(written(tmp_path, {**VLLM, "failed": "many"}))


def test_an_older_key_is_read_and_an_unknown_one_is_named(tmp_path: Path) -> None:
    older = {key: value for key, value in VLLM.items() if key != "request_goodput"}
    run = one(written(tmp_path, {**older, "request_goodput:": 16.0, "warp_factor": 9}))
    assert run.metrics["request_goodput"].value == 16.0
    assert run.unread == ("warp_factor",)


ASKED = (
    "backend model_id model dataset_name dataset_path request_rate burstiness max_concurrency seed temperature top_p "
    "top_k frequency_penalty goodput goodput_config_dict random_input_len random_output_len random_range_ratio "
    "hf_output_len sharegpt_output_len input_len output_len ignore_eos extra_request_body num_warmups gsp_num_groups "
    "image_resolution ramp_up_strategy lora_name"
)


def test_what_was_asked_for_is_a_condition(tmp_path: Path) -> None:
    for content in (VLLM, SGLANG):
        for key in ASKED.split():
            run = one(written(tmp_path, {**content, key: "other"}))
            assert (run.conditions[key], run.unread) == ("other", ())
    assert one(written(tmp_path, {**VLLM, "total_input_tokens": 9})).conditions["total_input_tokens"] == "9"
    served = {"model_path": "some/model", "tokenizer_path": None, "tp_size": 2}
    assert one(written(tmp_path, {**SGLANG, "server_info": served})).conditions["server_model_path"] == "some/model"


def test_a_number_called_goodput_was_measured(tmp_path: Path) -> None:
    assert one(written(tmp_path, {**VLLM, "goodput": 16.0})).unread == ("goodput",)
    assert one(written(tmp_path, {**VLLM, "request_goodput": 16.0})).conditions["goodput"] == "asked for"


def test_sglang_lines_are_runs_and_their_load_is_a_condition(tmp_path: Path) -> None:
    runs = read(written(tmp_path, [SGLANG, {**SGLANG, "request_rate": float("inf")}]))
    assert [run.conditions["request_rate"] for run in runs] == ["4.0", "inf"]
    assert list(runs[0].metrics) == [
        "request_throughput",
        "input_throughput",
        "output_throughput",
        "total_throughput",
        "median_e2e_latency_ms",
        "p99_e2e_latency_ms",
        "median_ttft_ms",
    ]


def test_aiperf_says_the_same_in_json_and_csv(tmp_path: Path) -> None:
    ours, table = one(written(tmp_path, AIPERF, "a.json")), one(written(tmp_path, AIPERF_CSV, "a.csv"))
    assert ours.metrics == table.metrics
    assert ours.metrics["request_throughput"] == Metric("request_throughput", 13.5, "requests/sec", Better.HIGHER)
    assert ours.metrics["p50_time_to_first_token"].value == 78.7
    assert set(ours.metrics) == {
        "request_throughput",
        "p50_request_latency",
        "p99_request_latency",
        "p50_time_to_first_token",
        "p99_time_to_first_token",
        "output_token_throughput_per_user",
    }
    averages = ("request_latency", "time_to_first_token", "output_token_throughput_per_user")
    assert ours.left_out == tuple(f"avg_{name}" for name in averages)
    assert ours.conditions == {"concurrency": "100"}
    assert not ours.fault
    assert not table.fault


def test_aiperf_runs_with_errors_are_faulty(tmp_path: Path) -> None:
    summary = [{"error_details": {"code": 500}, "count": 3}, {"error_details": {"code": 499}, "count": 2}]
    assert one(written(tmp_path, {**AIPERF, "error_summary": summary})).fault == "5 of its requests failed"
    counted = AIPERF_CSV.replace("Error Request Count,0", "Error Request Count,7")
    assert one(written(tmp_path, counted)).fault == "7 of its requests failed"
    assert one(written(tmp_path, {**AIPERF, "was_cancelled": True})).fault == "it was cancelled"


@pytest.mark.parametrize(
    ("line", "metric"),
    [
        ("throughput: 17.25 +- 0.72 requests/s (n=3)", ("throughput", 17.25, "requests/s", Better.HIGHER, 3, 0.72)),
        ("17.25 ± 0.72 ms of 3 runs", ("value", 17.25, "ms", Better.LOWER, 3, 0.72)),
        ("ViT forward = 1.5e2+/-2 us, over 12 runs.", ("ViT forward", 150.0, "us", Better.LOWER, 12, 2.0)),
        ("fps: 30 ± 1 n=4", ("fps", 30.0, "", Better.HIGHER, 4, 1.0)),
        ("latency: 9 ± 0 ms (n=1)", ("latency", 9.0, "ms", Better.LOWER, 1, 0.0)),
        ("latency: 1710 ± 2% ms (n=3)", ("latency", 1710.0, "ms", Better.LOWER, 3, 34.2)),
        ("fps: 200 +- 1.5 % frames/s of 4 runs", ("fps", 200.0, "frames/s", Better.HIGHER, 4, 3.0)),
    ],
)
def test_summary_lines(tmp_path: Path, line: str, metric: tuple[str, float, str, Better, int, float]) -> None:
    name, value, unit, better, runs, deviation = metric
    expected = Metric(name, value, unit, better, runs=runs, deviation=deviation)
    assert one(written(tmp_path, f"\n{line}\n\n")).metrics == {name: expected}


def test_summary_table(tmp_path: Path) -> None:
    run = one(written(tmp_path, "name,mean,std,n,unit,better\nscore,5,0.1,3,points,more\nt,2,0.1,4,ms,\n"))
    assert run.metrics["score"] == Metric("score", 5.0, "points", Better.HIGHER, runs=3, deviation=0.1)
    assert run.metrics["t"].better is Better.LOWER


def test_samples_are_of_one_run_unless_a_column_says_otherwise(tmp_path: Path) -> None:
    run = one(written(tmp_path, "name,value,unit\nt,3,ms\nt,1,ms\nt,2,ms\nrate,5,req/s\n"))
    assert run.metrics["t"] == Metric("t", 2.0, "ms", Better.LOWER, (3.0, 1.0, 2.0))
    assert run.metrics["rate"].better is Better.HIGHER
    runs = read(
        written(tmp_path, "run,name,value,better\n1,t,3,lower\n1,t,5,lower\n2,t,7,less\n1,s,1,higher\n2,s,1,more\n")
    )
    assert [each.metrics["t"].value for each in runs] == [4.0, 7.0]
    assert runs[0].metrics["s"].better is Better.HIGHER


def test_a_quoted_number_may_have_commas_between_thousands(tmp_path: Path) -> None:
    run = one(written(tmp_path, 'name,value,unit\ntotal,"12,450",tokens/s\n'))
    assert run.metrics["total"].value == 12_450


@pytest.mark.parametrize(("content", "name"), [("latency_ms\n1\n2\n6\n", "latency_ms"), ("1\n2\n\n6\n", "value")])
def test_one_column_of_samples(tmp_path: Path, content: str, name: str) -> None:
    (run,) = read(written(tmp_path, content), directions={name: Better.LOWER})
    assert run.metrics == {name: Metric(name, 2.0, "", Better.LOWER, (1.0, 2.0, 6.0))}


def test_a_direction_that_nobody_says_is_asked_for_and_taken(tmp_path: Path) -> None:
    path = written(tmp_path, "name,value\nencode,1\nencode,3\n")
    with pytest.raises(UsageError, match="say it with --higher-is-better 'encode' or --lower-is-better 'encode'"):
        read(path)
    assert read(path, directions={"encode": Better.HIGHER})[0].metrics["encode"].better is Better.HIGHER


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; did the benchmark finish"),
        (" \n", "is empty"),
        ('{"results": [', r"is broken JSON at line 1 \(.*\); was it cut off"),
        ('{"a": 1}\n{"b": ', "is broken JSON at line 2"),
        ('{"a": 1}\n7', "holds 7 between JSON objects"),
        ({"what": "else"}, "is in no known format"),
        ("[1, 2]\nx, y, z\n", "is in no known format"),
        ("name,value\n", "has a header and no samples"),
        ("name,value\na,fast\n", "line 2 is 'a,fast'; each line needs a number in the column value"),
        ("name,value\na,1,2\n", "line 2 is 'a,1,2'"),
        ("name,value\na_ms,nan\n", "'a_ms' holds nan"),
        ("name,value,better\na,1,faster\n", "better is 'faster'; write lower or higher"),
        ("latency: 1710 ± 2% (n=3)\n", "line 1: 2% may be of the mean or the unit of both; write the deviation in"),
        ("accuracy: 51.9 +- 0.4 %, of 3 runs\n", "line 1: 0.4% may be of the mean or the unit of both"),
        ("latency: 1710 ± 2%ms (n=3)\n", "line 1 is no mean and deviation of n runs"),
        ("17.25 +- 0.72 ms\n", "line 1 is no mean and deviation of n runs"),
        ("17.25 +- 0 ms (n=3)\n", "row 1: 0.0 is no deviation between 3 runs"),
        ("name,mean,std,n\na,1,x,3\n", "row 1: std is 'x', not a number"),
        ("name,mean,std,n,better\na,1,1,3,faster\n", "row 1: better is 'faster'; write lower or higher"),
        ({**PYTEST_BENCHMARK, "benchmarks": []}, "no metric in it"),
        (
            {**PYTEST_BENCHMARK, "benchmarks": [{"fullname": "a", "stats": {}}]},
            "benchmarks.0.stats.median: field required",
        ),
        ({"results": [{"command": "a", "median": "slow"}]}, "results.0.median: input should be a valid number"),
        ({**VLLM, "output_throughput": "fast"}, "output_throughput is 'fast', not a number"),
        ({**VLLM, "output_throughput": float("nan")}, "output_throughput is nan, not a number"),
        ({**AIPERF, "request_latency": {"avg": 1, "p50": "x"}}, "p50_request_latency is 'x', not a number"),
    ],
)
def test_a_wrong_file_gets_one_sentence_with_its_name(tmp_path: Path, content: object, message: str) -> None:
    path = written(tmp_path, content, "wrong.file")
    with pytest.raises(UsageError, match=message) as caught:
        read(path)
    assert "wrong.file" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_not_text_gets_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.json cannot be read \(No such file or directory\)"):
        read(str(tmp_path / "none.json"))
    (tmp_path / "image.png").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(UsageError, match=r"image\.png is not text"):
        read(str(tmp_path / "image.png"))


def test_a_format_can_be_named(tmp_path: Path) -> None:
    path = written(tmp_path, "a_ms,1\na_ms,2\n")
    assert read(path, "samples")[0].metrics["a_ms"].value == 1.5
    with pytest.raises(UsageError, match=r"^--format: 'csv' is not one of aiperf, "):
        read(path, "csv")


@pytest.mark.parametrize("name", sorted(READERS))
def test_a_format_named_wrongly_gets_one_sentence(tmp_path: Path, name: str) -> None:
    for content in ({"what": "else"}, "no, table, at all\n"):
        with pytest.raises(UsageError, match=f"is not in the format {name}"):
            read(written(tmp_path, content), name)
