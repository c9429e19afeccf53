"""Accuracies: MMMU's, and those of lmms-eval and lm-evaluation-harness."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlbench.record.directions import Better
from vlbench.record.runs import Metric

from .samples import LM_EVAL, LM_EVAL_TABLE
from .test_formats import sample
from .test_readers import one, written


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
