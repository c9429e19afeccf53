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
from vlbench.record.runs import Run
from vlbench.untrusted.limits import Limit

from .samples import (
    ASV,
    BM,
    DUMPED,
    GOOGLE,
    HISTORY,
    LATENCY,
    LATENCY_PRINTED,
    LIST,
    LM_EVAL,
    LM_EVAL_TABLE,
    MEDIAN,
    MM_PROCESSOR,
    MM_TABLE,
    MMMU,
    MMMU_TABLE,
    PRINTED,
    SAMPLES,
    THROUGHPUT,
    THROUGHPUT_PRINTED,
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
    entry = {"name": "encode", "real_time": 5.0, "time_unit": "ms"}
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
    "below its command": lambda text: f"vllm serve model --max-model-len 32,768\n{text}",
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
    monkeypatch.setattr(Limit.PASTED, "most", 1000)
    lines = 1001
    assert "above the limit of 1,000 lines of text that is pasted" in refused(tmp_path, "a\n" * lines)
    assert "above the limit" in refused(tmp_path, "a\n" * lines + MMMU_TABLE)
    assert len(one(written(tmp_path, "a_ms\n" + "1\n" * lines)).metrics["a_ms"].samples) == lines


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
        ({**GOOGLE, "benchmarks": [{"name": "a", "real_time": 1.0}]}, "time_unit of 'a' is not told; write ns, us"),
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
