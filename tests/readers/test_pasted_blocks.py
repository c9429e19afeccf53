"""What is printed of one run: a line that does not fit is named, a figure that is there twice refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlbench.readers import read

from .samples import LATENCY_PRINTED, LM_EVAL_TABLE, MM_PROCESSOR, MM_TABLE, MMMU, MMMU_TABLE, THROUGHPUT_PRINTED
from .test_formats import refused
from .test_readers import one, written

TOTAL = "Total num prompt tokens:  7\n"


@pytest.mark.parametrize(
    ("content", "unread"),
    [
        (MM_TABLE.replace("encoder_forward_secs", "encoder forward"), "encoder forward 12.00 11.50 1.00 15.00"),
        (MM_TABLE.replace("12.00  11.50", "11.50"), "encoder_forward_secs 11.50 1.00 15.00"),
        (MM_TABLE.replace("Summary", "Failed requests: 500\nSummary"), "Failed requests: 500"),
        (MM_TABLE.replace("P99.0     980", "P99.0 ms  980"), "P99.0 ms 980.00"),
        (THROUGHPUT_PRINTED + "Failed requests: 900\n", "Failed requests: 900"),
        (THROUGHPUT_PRINTED + "\nFailed requests: 900\n", "Failed requests: 900"),
        (THROUGHPUT_PRINTED + "and no more\n", "and no more"),
        (LATENCY_PRINTED + "99.9% percentile latency: 9 s\n", "99.9% percentile latency: 9 s"),
    ],
)
def test_a_line_that_does_not_fit_is_named(tmp_path: Path, content: str, unread: str) -> None:
    assert one(written(tmp_path, content, "printed.txt")).unread == (unread,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LATENCY_PRINTED + "99% percentile latency: 1.0 seconds\n", "'99' is there twice"),
        (THROUGHPUT_PRINTED + TOTAL, "'total_prompt_tokens' is there twice"),
        (MM_TABLE + "Median 90\n", "'median' is there twice"),
    ],
)
def test_a_figure_that_is_there_twice_is_refused(tmp_path: Path, content: str, message: str) -> None:
    assert message in refused(tmp_path, content)


def test_what_loggers_and_the_next_run_write_is_no_line_of_a_result(tmp_path: Path) -> None:
    logged = "INFO 04-14 17:07:28 [a.py:2] done\n(EngineCore pid=7) WARNING late: 3\n[rank0]:[W1] Warning: group 0\n"
    first, second = f"Namespace(batch_size=8)\n{LATENCY_PRINTED}", "$ vllm bench latency --batch-size 1\n"
    runs = read(written(tmp_path, first + logged + second + LATENCY_PRINTED.replace("1.4", "1.3"), "printed.txt"))
    assert [run.unread for run in runs] == [(), ()]
    assert [run.conditions for run in runs] == [{"batch_size": "8"}, {"batch_size": "1"}]


def test_calls_of_the_encoder_are_the_work_that_was_done(tmp_path: Path) -> None:
    calls = {"total_encoder_calls": 10, "num_requests_with_encoder_calls": 10}
    assert one(written(tmp_path, MM_TABLE)).answered == calls
    assert one(written(tmp_path, MM_PROCESSOR)).answered == calls


@pytest.mark.parametrize(
    ("content", "unread"),
    [
        (LM_EVAL_TABLE.replace("|±  |0.0454", "± 0.0454"), "| - Art and Design | 0|none | |acc |↑ |0.5333± 0.0454|"),
        (f"{LM_EVAL_TABLE}\n|other|1|none|0|acc|0.1|\n", "|other|1|none|0|acc|0.1|"),
        (LM_EVAL_TABLE.replace("|       |strict", "wer    |strict"), "| wer |strict| |wer |↓ |0.2000|± | N/A|"),
        (MMMU_TABLE.replace("0.367 |", "0.367 | note |"), "| Overall-Business | 150 | 0.367 | note |"),
        (MMMU_TABLE.replace("| Overall-", "Overall-"), "Overall-Business | 150 | 0.367 |"),
        (MMMU.replace("'num': 30},\n 'Diag", "'num': 30, 'n': 1},\n 'Diag"), "Accounting"),
    ],
)
def test_a_row_or_an_entry_that_does_not_fit_is_named(tmp_path: Path, content: str, unread: str) -> None:
    assert one(written(tmp_path, content, "printed.txt")).unread == (unread,)


def test_a_dictionary_as_numpy_prints_it(tmp_path: Path) -> None:
    printed = "{'Overall': {'num': np.int64(900), 'acc': np.float64(0.519)}, 'Art': {'acc': np.float32(0.5), 'num': 3}}"
    found = one(written(tmp_path, printed, "printed.txt")).metrics
    assert [(each.name, each.value, each.questions) for each in found.values()] == [
        ("Overall", 0.519, 900),
        ("Art", 0.5, 3),
    ]


@pytest.mark.parametrize("share", ["1", "0", "51"])
def test_a_number_that_may_be_a_share_or_a_count_is_refused(tmp_path: Path, share: str) -> None:
    told = refused(tmp_path, f"MMMU: {share} of 900\n")
    assert f"{share} of 900 may be a share or a count; write 0.519 of 900" in told
    assert one(written(tmp_path, "MMMU: 1.0 of 900\nOCR: 0 % of 9")).metrics["OCR"].value == 0
