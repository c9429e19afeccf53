"""What tools of continuous integration save: google-benchmark, github-action-benchmark, asv, SGLang's tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vlbench.record.directions import Better
from vlbench.record.runs import Metric

from .samples import ASV, BM, GOOGLE, HISTORY, MEDIAN
from .test_formats import refused, sample
from .test_readers import one, written

NAN = float("nan")


def test_google_benchmark_repetitions_are_samples_of_one_run(tmp_path: Path) -> None:
    run = sample(tmp_path, "google-benchmark")
    assert run.metrics == {"BM_a/8": Metric("BM_a/8", 11e-6, "s", Better.LOWER, pytest.approx((10e-6, 12e-6, 11e-6)))}  # type: ignore[arg-type]
    assert run.conditions == {"library_build_type": "release", "num_cpus": "8"}
    broken = [GOOGLE["benchmarks"][0] | {"error_occurred": True}, GOOGLE["benchmarks"][1]]  # type: ignore[index,operator]
    assert one(written(tmp_path, GOOGLE | {"benchmarks": broken})).fault == "1 of its benchmarks failed"


@pytest.mark.parametrize(
    ("more", "unread"),
    [
        (
            [{**MEDIAN, "run_name": "BM_y", "aggregate_name": "mean", "real_time": 7.0}],
            "BM_y, of which no median is told",
        ),
        ([{**BM, "run_name": "BM_y", "repetitions": 1, "iterations": 1}], "BM_y, of one iteration of 1e-05 s"),
    ],
)
def test_a_benchmark_that_is_not_read_or_hardly_timed_is_named(tmp_path: Path, more: list[object], unread: str) -> None:
    content = {**GOOGLE, "benchmarks": [*GOOGLE["benchmarks"], *more]}  # type: ignore[misc]
    assert one(written(tmp_path, content)).unread == (unread,)
    fitted = {**MEDIAN, "run_name": "BM_a", "aggregate_name": "BigO", "rms": 0.1}
    slow = {**BM, "run_name": "BM_y", "repetitions": 1, "iterations": 1, "real_time": 2.0, "time_unit": "s"}
    assert not one(written(tmp_path, {**GOOGLE, "benchmarks": [*GOOGLE["benchmarks"], fitted, slow]})).unread  # type: ignore[misc]


def test_github_action_benchmark_takes_the_newest_commit_and_its_tools_direction(tmp_path: Path) -> None:
    for name in ("github-action-benchmark history", "github-action-benchmark data.js"):
        run = sample(tmp_path, name)
        assert run.metrics == {"encode": Metric("encode", 12.5, "score", Better.HIGHER)}
        assert run.conditions == {"suite": "Towers"}
    listed = sample(tmp_path, "github-action-benchmark")
    assert [each.better for each in listed.metrics.values()] == [Better.LOWER, Better.HIGHER]
    assert "say it with --higher-is-better 'CPU Load'" in refused(
        tmp_path, json.dumps([{"name": "CPU Load", "unit": "Percent", "value": 50}])
    )


def test_the_newest_commit_needs_an_id_where_there_are_others(tmp_path: Path) -> None:
    old, new = HISTORY["entries"]["Towers"]  # type: ignore[index]
    nameless = [{**each, "commit": {"sha": "a"}} for each in (old, new)]
    assert "the newest commit of 'Towers' has no id" in refused(tmp_path, HISTORY | {"entries": {"Towers": nameless}})
    assert one(written(tmp_path, HISTORY | {"entries": {"Towers": nameless[1:]}})).metrics["encode"].value == 12.5


def by_tool(tool: str, name: str, unit: str) -> dict[str, Any]:
    entry = {"commit": {"id": "aaa"}, "date": 1, "tool": tool, "benches": [{"name": name, "value": 9.5, "unit": unit}]}
    return HISTORY | {"entries": {"Towers": [entry]}}


@pytest.mark.parametrize(
    ("tool", "name", "unit", "better"),
    [
        ("go", "BenchmarkX - MB/s", "MB/s", Better.HIGHER),
        ("go", "BenchmarkThroughput", "ns/op", Better.LOWER),
        ("go", "BenchmarkX - allocs/op", "allocs/op", Better.LOWER),
        ("go", "BenchmarkX - B/op", "B/op", Better.LOWER),
        ("jmh", "x", "ops/s", Better.HIGHER),
        ("cargo", "x", "ns/iter", Better.LOWER),
        ("catch2", "x", "", Better.LOWER),
        ("pytest", "x", "iter/sec", Better.HIGHER),
        ("customSmallerIsBetter", "x", "MB/s", Better.LOWER),
    ],
)
def test_a_unit_says_the_direction_where_its_tool_writes_both(
    tmp_path: Path, tool: str, name: str, unit: str, better: Better
) -> None:
    assert one(written(tmp_path, by_tool(tool, name, unit))).metrics[name].better is better


@pytest.mark.parametrize(
    ("tool", "unit", "message"),
    [
        ("cargo", "MB/s", "'x' says two things: of the tool cargo, lower is better, and of the unit 'MB/s' higher"),
        ("pytest", "ms", "'x' says two things: of the tool pytest, higher is better, and of the unit 'ms' lower"),
        ("go", "frobs", "say it with --higher-is-better 'x'"),
    ],
)
def test_a_unit_that_contradicts_its_tool_or_says_nothing_is_refused(
    tmp_path: Path, tool: str, unit: str, message: str
) -> None:
    assert message in refused(tmp_path, by_tool(tool, "x", unit))


def test_asv(tmp_path: Path) -> None:
    run = sample(tmp_path, "asv")
    assert run.metrics == {
        "towers.Forward.time_forward": Metric("towers.Forward.time_forward", 0.15, "s", Better.LOWER, (0.1, 0.15, 0.2)),
        "towers.peakmem_forward('tiny')": Metric("towers.peakmem_forward('tiny')", 1e6, "bytes", Better.LOWER),
        "towers.peakmem_forward('small')": Metric("towers.peakmem_forward('small')", 2.5e6, "bytes", Better.LOWER),
    }
    assert run.conditions["cpu"] == "Imaginary 9000"
    assert run.conditions["version of towers.Forward.time_forward"] == "1"


def test_what_was_installed_for_asv_is_a_condition(tmp_path: Path) -> None:
    params = {"machine": "m", "torch": "2.9", "num_cpu": "8", "ram": "1"}
    changes = {"params": params, "requirements": {"numpy": "2.1"}, "env_vars": {"OMP_NUM_THREADS": "4"}}
    told = one(written(tmp_path, {**ASV, **changes, "results": {"time_a": 0.5}})).conditions
    assert told == {"OMP_NUM_THREADS": "4", "machine": "m", "num_cpu": "8", "numpy": "2.1", "torch": "2.9"}


def test_asv_of_version_1_with_what_failed_and_what_was_skipped(tmp_path: Path) -> None:
    results = {"time_a": 0.5, "time_b": None, "time_c": NAN, "mem_d": {"params": [["1", "2"]], "result": [3, 4]}}
    run = one(written(tmp_path, {**ASV, "results": results, "version": 1}))
    assert {name: metric.value for name, metric in run.metrics.items()} == {"time_a": 0.5, "mem_d(1)": 3, "mem_d(2)": 4}
    assert (run.fault, run.unread) == ("1 of its benchmarks failed", ("time_c, which was skipped",))


def test_metrics_that_sglangs_tests_dump(tmp_path: Path) -> None:
    run = sample(tmp_path, "sglang-metrics")
    assert run.metrics == {
        "T.test_a.encode_latency_ms": Metric("T.test_a.encode_latency_ms", 12.5, "", Better.LOWER),
        "T.test_a.tokens_per_s model=some": Metric("T.test_a.tokens_per_s model=some", 100.0, "", Better.HIGHER),
    }
