"""The formats beside the load generators' own files: each sample read, and what is wrong in one refused or named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vlbench.errors import UsageError
from vlbench.readers import READERS, read
from vlbench.readers.document import Document, load
from vlbench.readers.pasted import pasted_lines
from vlbench.record.directions import Better
from vlbench.record.runs import Metric, Run
from vlbench.untrusted.limits import Limit

from .samples import (
    ASV,
    DUMPED,
    GOOGLE,
    HISTORY,
    LATENCY,
    LATENCY_PRINTED,
    LIST,
    LM_EVAL,
    LM_EVAL_TABLE,
    MM_PROCESSOR,
    MM_TABLE,
    MMMU,
    MMMU_TABLE,
    PRINTED,
    SAMPLES,
    THROUGHPUT,
    THROUGHPUT_PRINTED,
    VLLM_TABLE,
)
from .test_readers import one, written

NAN = float("nan")


def sample(folder: Path, name: str) -> Run:
    return one(written(folder, SAMPLES[name], "sample.txt"))


def refused(folder: Path, content: object) -> str:
    """The one sentence, which names the file."""
    with pytest.raises(UsageError) as caught:
        read(written(folder, content, "wrong.file"))
    assert "wrong.file" in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_format_has_a_sample() -> None:
    assert {name.split()[0] for name in SAMPLES} == READERS.keys()


@pytest.mark.parametrize("name", SAMPLES)
def test_exactly_one_reader_recognises_a_sample_and_understands_all_of_it(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, SAMPLES[name])
    document = load(path)
    assert [reader.name for reader in READERS.values() if reader.recognises(document)] == [name.split()[0]]
    assert [each.unread for each in read(path)] == [()]
    assert read(path, name.split()[0])


@pytest.mark.parametrize("name", ["asv", "pytest-benchmark", "vllm-latency"])
def test_two_objects_are_no_file_of_a_tool_that_writes_one(name: str) -> None:
    found = dict.fromkeys(READERS[name].telling)
    assert READERS[name].recognises(Document("a.json", "", (found,)))
    assert not READERS[name].recognises(Document("a.json", "", (found, found)))


def test_a_skipped_benchmark_has_no_time_though_it_tells_one(tmp_path: Path) -> None:
    entry = {"name": "encode", "real_time": 5.0}
    content = {"context": {}, "benchmarks": [entry, entry | {"name": "decode", "skipped": True}]}
    run = one(written(tmp_path, content))
    assert list(run.metrics) == ["encode"]
    assert run.unread == ("decode, which was skipped",)


def test_a_file_with_the_marks_of_two_formats_is_refused_and_both_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, PRINTED[0] + LATENCY_PRINTED)
    with pytest.raises(UsageError, match=r"has the marks of serving-table and of vllm-latency; say which .* --format"):
        read(path)
    assert one_of(path, "vllm-latency").metrics["median_latency"].value == pytest.approx(1.4726597834960558)


def one_of(path: str, name: str) -> Run:
    (run,) = read(path, name)
    return run


WAYS = {
    "as it is": lambda text: text,
    "fenced": lambda text: f"Before:\n```text\n{text}```\nand after that, prose: 7\n",
    "quoted": lambda text: "".join(f"> {line}\n" for line in text.splitlines()),
    "quoted twice and fenced": lambda text: "".join(f"> > {line}\n" for line in f"```\n{text}```".splitlines()),
    "coloured": lambda text: "".join(f"\x1b[1;32m{line}\x1b[0m\n" for line in text.splitlines()),
    "of Windows": lambda text: text.replace("\n", "\r\n"),
    "tabs": lambda text: text.replace("   ", "\t"),
    "indented": lambda text: "".join(f"    {line}\n" for line in text.splitlines()),
}
WAYS_OF_A_SERVING_TABLE = {
    "a blank line before a row": lambda text: text.replace("P99 ", "\nP99 "),
    "double-spaced": lambda text: text.replace("\n", "\n\n"),
    "a row that begins like a rule": lambda text: text.replace("P99 ", "---P99 "),
}


@pytest.mark.parametrize("way", WAYS_OF_A_SERVING_TABLE)
@pytest.mark.parametrize("name", ["serving-table", "serving-table vllm"])
def test_no_row_of_a_serving_table_is_dropped(tmp_path: Path, name: str, way: str) -> None:
    pasted = one(written(tmp_path, WAYS_OF_A_SERVING_TABLE[way](SAMPLES[name]), "sample.txt"))
    assert pasted == sample(tmp_path, name)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [name for name in SAMPLES if name.endswith(("table", "printed", "table vllm"))])
def test_a_table_reads_the_same_however_it_was_pasted(tmp_path: Path, name: str, way: str) -> None:
    pasted = one(written(tmp_path, WAYS[way](SAMPLES[name]), "sample.txt"))
    assert pasted == sample(tmp_path, name)


@pytest.mark.parametrize("text", ["```\n```\n", "> \n>\n", "> ```text\n> > ~~~\n", "\u200b\n"])
def test_marks_around_nothing_are_no_file(tmp_path: Path, text: str) -> None:
    assert "holds nothing but marks of quotes and code" in refused(tmp_path, text)


def test_text_is_brought_back_once_for_all_readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def counted(text: str) -> list[str]:
        calls.append(text)
        return pasted_lines(text)

    monkeypatch.setattr("vlbench.readers.document.pasted_lines", counted)
    assert one(written(tmp_path, LATENCY_PRINTED)).metrics
    assert len(calls) == 1


def test_pasted_text_has_a_limit_of_lines_and_samples_have_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Limit.PASTED, "_value_", (1000, Limit.PASTED.what))
    lines = 1001
    assert "above the limit of 1,000 lines of text that is pasted" in refused(tmp_path, "a\n" * lines)
    assert "above the limit" in refused(tmp_path, "a\n" * lines + MMMU_TABLE)
    assert len(one(written(tmp_path, "a_ms\n" + "1\n" * lines)).metrics["a_ms"].samples) == lines


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


def test_several_tables_are_several_runs_and_a_copy_is_refused(tmp_path: Path) -> None:
    runs = read(written(tmp_path, "\n".join(PRINTED)))
    assert [run.metrics["total_throughput"].value for run in runs] == [12450.07, 12096.72, 11949.28]
    assert "table 2 is a copy of another" in refused(tmp_path, PRINTED[0] * 2)


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
        ("505", "-5", "completed is -5.0, not a count"),
        ("Successful requests:                     505\n", "", "completed is not told"),
        ("P99 ITL (ms)", "P95 ITL (ms)", "'P95 ITL .ms.' is there twice in one table"),
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


def test_google_benchmark_repetitions_are_samples_of_one_run(tmp_path: Path) -> None:
    run = sample(tmp_path, "google-benchmark")
    assert run.metrics == {"BM_a/8": Metric("BM_a/8", 11e-6, "s", Better.LOWER, pytest.approx((10e-6, 12e-6, 11e-6)))}  # type: ignore[arg-type]
    assert run.conditions == {"library_build_type": "release", "num_cpus": "8"}
    broken = [GOOGLE["benchmarks"][0] | {"error_occurred": True}, GOOGLE["benchmarks"][1]]  # type: ignore[index,operator]
    assert one(written(tmp_path, GOOGLE | {"benchmarks": broken})).fault == "1 of its benchmarks failed"


BM: dict[str, Any] = GOOGLE["benchmarks"][0]  # type: ignore[index]
MEDIAN = {"name": "BM_a/8_median", "run_name": "BM_a/8", "run_type": "aggregate", "aggregate_name": "median"}


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


@pytest.mark.parametrize("name", ["mmmu", "mmmu printed", "mmmu table"])
def test_accuracies_of_mmmu(tmp_path: Path, name: str) -> None:
    assert sample(tmp_path, name).metrics["Overall"] == Metric("Overall", 0.519, "share", Better.HIGHER, questions=900)


def test_accuracies_in_lines(tmp_path: Path) -> None:
    found = sample(tmp_path, "mmmu lines").metrics.values()
    assert [(each.name, round(each.value, 3), each.questions) for each in found] == [
        ("MMMU", 0.519, 900),
        ("MathVista", 0.615, 1000),
        ("OCR", 0.519, 900),
    ]


def test_lm_eval_tells_questions_or_a_standard_error(tmp_path: Path) -> None:
    run = sample(tmp_path, "lm-eval")
    assert run.metrics["mmmu_val mmmu_acc"].questions == 900
    assert run.metrics["chartqa relaxed_overall"].answers == pytest.approx(2500)
    table = sample(tmp_path, "lm-eval table").metrics
    assert table["mmmu_val acc"].answers == pytest.approx(922.5, abs=0.1)
    assert table["Art and Design acc"].better is Better.HIGHER
    assert (table["Art and Design wer,strict"].better, table["Art and Design wer,strict"].answers) == (Better.LOWER, 0)


@pytest.mark.parametrize(
    ("changes", "key", "told"),
    [
        ({"task_hashes": {"mmmu_val": "aaa"}}, "task_hashes of mmmu_val", "aaa"),
        ({"chat_template": "x"}, "chat_template", "2d711642"),
        ({"system_instruction_sha": "x"}, "system_instruction", "2d711642"),
        ({"fewshot_as_multiturn": True}, "fewshot_as_multiturn", "True"),
        ({"config": {"limit": 8.0}}, "limit", "8.0"),
        ({"config": {"gen_kwargs": "temperature=1"}}, "gen_kwargs", "temperature=1"),
        ({"config": {"num_fewshot": 5}}, "num_fewshot", "5"),
        ({"configs": {"chartqa": {"test_split": "val"}}}, "test_split of chartqa", "val"),
        ({"n-shot": {"mmmu_val": 5}}, "n-shot of mmmu_val", "5"),
    ],
)
def test_which_questions_lm_eval_asked_and_how_are_conditions(
    tmp_path: Path, changes: dict[str, object], key: str, told: str
) -> None:
    assert one(written(tmp_path, {**LM_EVAL, **changes})).conditions[key] == told


def test_columns_of_a_table_of_lm_eval_are_conditions(tmp_path: Path) -> None:
    table = LM_EVAL_TABLE.replace(
        "|      0|none  |      |acc   |↑  |0.4300", "|      2|none  |     5|acc   |↑  |0.4300"
    )
    told = one(written(tmp_path, table)).conditions
    assert told == {"n-shot of mmmu_val": "5", "versions of mmmu_val": "2", "versions of Art and Design": "0"}


def test_a_score_of_which_less_is_better_is_no_share(tmp_path: Path) -> None:
    results = {"wiki": {"bits_per_byte,none": 0.6, "bits_per_byte_stderr,none": "N/A"}}
    whole = {**LM_EVAL, "results": results, "higher_is_better": {"wiki": {"bits_per_byte": False}}}
    content = {**whole, "n-samples": {"wiki": {"original": 62, "effective": 62}}}
    expected = Metric("wiki bits_per_byte", 0.6, "", Better.LOWER)
    assert one(written(tmp_path, content)).metrics == {"wiki bits_per_byte": expected}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({**MM_PROCESSOR, "median_e2el_ms": NAN}, "median_e2el_ms: input should be"),
        (
            {**MM_PROCESSOR, "mm_processor_stats": {"a": {"median": -1.0}}},
            "mm_processor_stats.a.median: input should be",
        ),
        ({**MM_PROCESSOR, "completed": 300}, "completed is 300 of num_prompts 10"),
        (MM_TABLE.replace("11.50", "n/a"), "median of encoder_forward_secs is 'n/a'"),
        (MM_TABLE * 2, "holds two tables of stages"),
        ({**LATENCY, "percentiles": {"50": 9.0}}, "'median_latency' has a median of 9 and its samples one of 1.2"),
        ({**LATENCY, "latencies": [1.0, True]}, "latencies.1: input should be a valid number"),
        (LATENCY_PRINTED.replace("1.5062954947334948", "nan"), "99% percentile latency is 'nan'"),
        ({**THROUGHPUT, "requests_per_second": 68.3}, "requests_per_second is 68.3, but num_requests is 500 in"),
        ({**THROUGHPUT, "tokens_per_second": 17000}, "tokens_per_second is 17000, but total_num_tokens is 255900 in"),
        ({**THROUGHPUT, "requests_per_second": "fast"}, "requests_per_second is 'fast', not a number"),
        (THROUGHPUT_PRINTED.replace("34.14", "fast"), "requests_per_second is 'fast', not a number"),
        ({**GOOGLE, "benchmarks": [{"name": "a", "real_time": 1.0, "time_unit": "h"}]}, "time_unit of 'a' is 'h'"),
        ({**GOOGLE, "benchmarks": [{"name": "a", "real_time": NAN}]}, "benchmarks.0.real_time: input should be"),
        (
            {**GOOGLE, "benchmarks": [BM | {"repetitions": 5}] * 5},
            "'BM_a/8' has repetition_index 0 5 times; is one a copy",
        ),
        (
            {**GOOGLE, "benchmarks": [BM | {"repetitions": 1, "real_time": 50.0}, MEDIAN | {"real_time": 1e5}]},
            "'BM_a/8' has a median of 0.0001 and its samples one of 5e-05; was it edited",
        ),
        (json.dumps([LIST[0], LIST[0]]), "'encode' is there twice"),
        (json.dumps([{**LIST[0], "value": "50"}]), "entry 1: value: input should be a valid number"),
        ({**HISTORY, "entries": {}}, "its entries are empty"),
        ({**HISTORY, "entries": {"a": []}}, "entries.a: list should have at least 1 item"),
        ({**ASV, "results": {"track_x": [[3.0], []]}}, "say it with --higher-is-better 'track_x'"),
        ({**ASV, "results": {"time_x": [[3.0], [["1", "2"]]]}}, "'time_x' has other counts of parameters"),
        ({**ASV, "results": {"time_x": [[3.0], [["1"] * 1000] * 6]}}, "'time_x' has other counts of parameters"),
        ({**ASV, "results": {"time_x": [["fast"], []]}}, "time_x is 'fast', not a number"),
        ({**ASV, "result_columns": [["result"], 1]}, "'towers.Forward.time_forward' has more values than"),
        ({**ASV, "results": [1]}, "results and params are no objects"),
        ([{**DUMPED[0], "value": NAN}], "encode_latency_ms is nan, not a number"),
        ([{**DUMPED[0], "metric_name": "x"}], "say it with --higher-is-better 'x'"),
        ([DUMPED[0], DUMPED[0]], "'T.test_a.encode_latency_ms' is there twice"),
        (MMMU.replace("0.519, 'num'", "1.5, 'num'"), "'Overall' is 1.5 of 900, no share"),
        (MMMU.replace("0.519, 'num'", "nan, 'num'"), "Overall is 'nan', not a number"),
        (MMMU.replace("'num': 900", "'num': -9"), "the questions of Overall is -9.0, not a count"),
        ("MMMU: 3/0\n", "MMMU is 'nan', not a number"),
        ({**LM_EVAL, "results": {"a": 3}}, "results is .* not entries by task"),
        ({**LM_EVAL, "results": {"a": {"acc,none": NAN}}}, "a acc is nan, not a number"),
        ({**LM_EVAL, "results": {"a": {"exact_match,none": 0.5}}}, "say it with --higher-is-better 'a exact_match'"),
        (LM_EVAL_TABLE.replace("0.0163", "inf"), "stderr of mmmu_val acc is inf"),
    ],
)
def test_what_is_damaged_or_not_said_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        read(written(tmp_path, content, "wrong.file"))
    assert "wrong.file" in str(caught.value)
