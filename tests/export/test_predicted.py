"""How predictions are shown: in three digits at most, and what has no time in few lines."""

from __future__ import annotations

import pytest

from tests.export.rendered import shown
from vlbench.export.predicted import band_words, predicted_sheet
from vlbench.export.sheet import records
from vlbench.predicting.predicted import Band, Predicted, PredictedGroup, Prediction


@pytest.mark.parametrize(
    ("low", "high", "decimals", "text"),
    [
        (10.21, 19.04, 1, "10.2-19.0"),
        (7.71, 48.3, 1, "7.7-48.3"),
        (163.2, 380.4, 1, "163-380"),
        (12.3, 99.97, 1, "12-100"),
        (1432.0, 3454.0, 1, "1,430-3,450"),
        (-0.2, 3.4, 1, "-0.2 to 3.4"),
        (7.712, 8.916, 2, "7.71-8.92"),
        (9.123, 12.345, 2, "9.1-12.3"),
        (98.7, 104.4, 2, "99-104"),
        (0.0123, 0.0347, 3, "0.012-0.035"),
    ],
)
def test_no_end_has_more_than_three_digits(low: float, high: float, decimals: int, text: str) -> None:
    assert band_words(low, high, decimals) == text


def prediction(**more: object) -> Prediction:
    kept = {"forward": "warm", "span": Band(low=0.01, high=0.02)} | more
    rows = tuple(
        Predicted(row=row, tower=row, gpu=gpu, **kept)  # type: ignore[arg-type]
        for row in ("a", "b")
        for gpu in ("h100", "l40s", "b200", "b300", "h200")
    )
    group = PredictedGroup(scenario="grid", point="", grids=((1, 36, 36),), rows=rows)
    facts = {"vlbench": "0", "dtype": "bfloat16", "cudnn": "9", "hosts": "", "boards": {}}
    return Prediction(**facts, groups=(group,)).with_checksum()  # type: ignore[arg-type]


def test_sizes_outside_of_the_tables_are_one_line() -> None:
    outside = {
        f"aten::mm: h100: the product n={n} k=1 m=1 in bfloat16 is not in the tables; ask for n from 128 to 10240": 3
        for n in range(40)
    }
    sheet = predicted_sheet(prediction(not_predicted=outside | {"aten::sort: it is several kernels": 1}))
    text = " ".join(shown(sheet.parts).split())
    assert text.count("not in the tables") == 1
    assert "h100: the product n=0 k=1 m=1 in bfloat16, h100: the product n=1 k=1 m=1 in bfloat16 and 38 more." in text
    assert text.count("a, b: not predicted, it is several kernels: aten::sort.") == 1


def test_a_span_without_its_attention_is_marked() -> None:
    lacks = {"aten::scaled_dot_product_attention: its lengths are not known": 4}
    text = " ".join(shown(predicted_sheet(prediction(not_predicted=lacks)).parts).split())
    assert "10.0-20.0+" in text
    assert text.count("+ a, b: without attention, of which some has no time; it takes longer.") == 1
    own = shown(predicted_sheet(prediction(not_predicted={"flash_attn_forward: no rule": 1})).parts)
    assert "without attention" in " ".join(own.split())
    light = shown(predicted_sheet(prediction(not_predicted={"aten::sort: it is several kernels": 1})).parts)
    assert "+" not in light


def test_what_no_table_has_so_is_named_with_its_factor() -> None:
    note = "unaligned: x3.7 (2.6 to 4.4), as measured on one H200"
    text = " ".join(shown(predicted_sheet(prediction(notes={note: 96})).parts).split())
    assert f"a, b: 96 products {note}." in text
    assert text.count(note) == 1, "of all rows and GPUs at once"


def test_a_note_is_told_once_of_rows_with_other_numbers_and_of_some_gpus() -> None:
    found, note = prediction(), "unaligned: x3.7"
    (group,) = found.groups
    numbers = {("a", "h100"): 96, ("b", "h100"): 1000, ("a", "h200"): 96, ("b", "h200"): 1000}
    rows = [
        row.model_copy(update={"notes": {note: number} if (number := numbers.get((row.row, row.gpu))) else {}})
        for row in group.rows
    ]
    told = found.model_copy(update={"groups": (group.model_copy(update={"rows": tuple(rows)}),)})
    text = " ".join(shown(predicted_sheet(told).parts).split())
    assert f"h100, h200: a: 96; b: 1,000 products {note}." in text
    assert text.count(note) == 1


def test_a_row_that_replays_a_graph_says_so() -> None:
    text = " ".join(shown(predicted_sheet(prediction(replayed=1216)).parts).split())
    assert text.count("a, b: 1,216 operations in a CUDA graph: one launch replays them, back to back.") == 1
    assert "CUDA graph" not in shown(predicted_sheet(prediction()).parts)


def test_several_gpus_stand_side_by_side_and_every_figure_says_that_it_is_predicted() -> None:
    sheet = predicted_sheet(prediction())
    first, second = [table for table in sheet.tables if "predicted ms" in table.title]
    assert [each.heading for each in first.heads] == ["variant", "h100", "l40s", "b200", "b300"]
    assert [each.heading for each in second.heads] == ["variant", "h200"]
    assert [list(map(str, row[:1])) for row in first.rows] == [["a"], ["b"]]
    assert "10.0-20.0" in shown([first])
    assert {row["figures"] for row in records(sheet.tables)} == {"predicted"}
    assert prediction().model_dump_json().count('"figures":"predicted"') == 10
    assert max(map(len, shown(sheet.parts).splitlines())) <= 80
