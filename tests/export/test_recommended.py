"""The tables of a recommendation: what was measured and what was predicted never share one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.export.rendered import shown
from vlbench.export.recommended import flag_tables, recommended_parts, without_figures
from vlbench.export.sheet import Words, records
from vlbench.judging.flag_worth import COUNTERS, effect_of_counts
from vlbench.record.fingerprint import Fingerprint
from vlbench.record.preset_file import PresetFile
from vlbench.record.recommendation import FlagFound, Recommendation, Worth

WORTH = Worth(ratio=1.25, low=1.2, high=1.3, helping=5, hurting=0, trials=5)
PREDICTED = {"h100": (1.0366, 1.1802), "l40s": (0.9324, 1.1798)}
NAMES = {"device": "cpu", "model": "qwen2.5-vl-tiny", "dtype": "float32", "scenario": "small"}
COUNTED = {"device_operations": 108, "attention_calls": -56, "host_syncs": -4224}


def found(worth: Worth | None) -> Recommendation:
    flag = FlagFound(
        flag="fused-residual-norm", effect="helps", by="time", in_set=False, worth=worth, counted=COUNTED,
        predicted=PREDICTED,
    )  # fmt: skip
    tiny = FlagFound(
        flag="rope-table", effect="not told", by="counts", in_set=False, predicted={"h100": (1.0001, 1.001)}
    )
    preset = PresetFile.model_construct(flags=(), fingerprint=Fingerprint.model_construct())
    return Recommendation.model_construct(preset=preset, start="best", flags=(flag, tiny), compared=())


def test_predictions_stand_in_a_table_apart_from_times() -> None:
    flags, asked = flag_tables(found(WORTH))
    assert "predicted, never measured" in asked.title
    assert {each.key for each in flags.heads} & {"ratio", "votes"}
    assert not {each.key for each in asked.heads} & {"ratio", "votes", "effect", "by"}
    assert max(len(line) for line in shown([flags, asked]).splitlines()) <= 80


def test_bands_that_hold_1_are_in_brackets() -> None:
    (table,) = flag_tables(found(None))
    text = shown([table])
    assert max(map(len, text.splitlines())) <= 80
    first, second = (line.split() for line in text.splitlines() if line.startswith(("fused", "rope")))
    assert first[:5] == ["fused-residual-norm", "helps", "time", "1.04-1.18", "(0.93-1.18)"]
    assert second[:6] == ["rope-table", "not", "told", "counts", "(1.00-1.00)", "-"]
    assert records([table])[0]["predicted_l40s_low"] == 0.9324


def test_each_flag_without_a_time_has_its_own_reason() -> None:
    reasons = {"a": "it needs a GPU", "b": "no time was left", "c": "it needs a GPU"}
    counted = [FlagFound(flag=flag, effect="helps", by="counts", why=why, in_set=True) for flag, why in reasons.items()]
    wrong = FlagFound(flag="d", effect="inaccurate", by="-", why="error 1", in_set=True)
    assert [each.text for each in without_figures((*counted, wrong))] == [
        "By counts alone: a, c: it needs a GPU.",
        "By counts alone: b: no time was left.",
        "Inaccurate: d: error 1.",
    ]


def test_every_counter_that_a_flag_is_judged_by_is_told() -> None:
    for counter in COUNTERS:
        moved = {counter: -1}
        flag = FlagFound(flag="a", effect=effect_of_counts(moved), by="counts", in_set=True, counted=moved)
        (table,) = flag_tables(found(None).model_copy(update={"flags": (flag,)}))
        *_, cell = table.rows[0]
        assert cell.shown.endswith(" -1")


def test_where_nothing_was_chosen_the_headline_says_so_and_counts_say_of_what_they_are() -> None:
    counted = FlagFound(flag="host-grid", effect="fewer", by="counts", in_set=True, counted={"host_syncs": -9})
    assert counted.in_words("qwen2.5-vl-7b") == "fewer (counts, as a GPU, on qwen2.5-vl-7b)"
    timed = FlagFound(flag="host-grid", effect="helps", by="time", in_set=True)
    assert timed.in_words("qwen2.5-vl-7b") == "helps (time)"
    preset = PresetFile.model_construct(flags=("host-grid",), grids=((1, 4, 6),), width=160, by="", **NAMES)
    made = Recommendation.model_construct(
        preset=preset, start="best", flags=(counted,), said=(), counted_as="qwen2.5-vl-7b, bfloat16", complete=True
    )
    told = [
        part.text for part in recommended_parts(made.model_copy(update={"chosen": False})) if isinstance(part, Words)
    ]
    assert "Nothing was chosen: the preset best, unchanged" in told
    assert any("a verdict is of a GPU, on qwen2.5-vl-7b, and not of this device" in line for line in told)
    assert any(part == Words("Recommended: 1 flag", "bold") for part in recommended_parts(made))


@pytest.mark.parametrize(
    ("has", "lacks"),
    [
        ({"worth": WORTH}, "counted: |predicted: |recommended set"),
        ({"counted": COUNTED}, "worth: |predicted: |recommended set"),
        ({"predicted": PREDICTED}, "worth: |counted: |recommended set"),
        ({"flag": "host-grid", "worth": WORTH}, "counted: |predicted: "),
        ({"by": "-"}, "worth: |counted: |predicted: |recommended set"),
    ],
)
def test_a_legend_tells_of_what_is_there_alone(has: dict[str, Any], lacks: str) -> None:
    flag = FlagFound(**{"flag": "rope-table", "effect": "helps", "by": "time", "in_set": False} | has)
    preset = PresetFile.model_construct(flags=("host-grid",), grids=((1, 4, 6),), width=160, by="", **NAMES)
    made = Recommendation.model_construct(preset=preset, start="best", flags=(flag,), said=(), complete=True)
    text = " ".join(shown(list(recommended_parts(made))).split())
    legends = ["worth: ", "counted: ", "predicted: ", "recommended set"]
    assert [each for each in legends if each in text] == [each for each in legends if each not in lacks.split("|")]
