"""Each kind of file that can be loaded has its chapter, with the figures of its record."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

import vlbench
from tests.record.records import FINGERPRINT, group, results, timed, trial
from tests.reporting.examples import predicted
from tests.reporting.reading_back import Page, unfounded
from tests.reporting.test_values import page_of
from vlbench.api.measured import Measured
from vlbench.api.results import Predictions, Recommended, Stored
from vlbench.api.surveys import Surveyed
from vlbench.predicting.checked import CheckedPrediction
from vlbench.record.preset_file import PresetFile
from vlbench.record.recommendation import Compared, FlagFound, Recommendation, Worth
from vlbench.record.schema import Row

ROOT = Path(__file__).parents[2]
WORTH = Worth(ratio=1.25, low=1.2, high=1.3, helping=5, hurting=0, trials=5)


def sound(page: Page) -> Page:
    """The same page, none of whose cells shows a number that is not behind it."""
    cells = [cell for table in page.tables for row in table.rows for cell in row if cell[1]]
    assert cells
    assert [(text, figures, bad) for text, figures, _ in cells if (bad := unfounded(text, figures))] == []
    return page


def test_a_stored_baseline() -> None:
    stored = vlbench.load(ROOT / "results/baselines/qwen2-vl-7b.json")
    assert isinstance(stored, Stored)
    page = sound(page_of(stored))
    (title,) = [text for level, text in page.headings if text.startswith("Baseline")]
    assert stored.record.name in title
    figures = list(page.tables[0].by_name().values())
    assert {each["host_syncs"] for each in figures} <= {
        cell.warm.counters["host_syncs"] for cell in stored.record.counted
    }


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("baselines/qwen2-vl-7b.json", "| qwen2-vl-7b | single-image | "),
        ("baselines/times/qwen2.5-vl-tiny.json", "| qwen2.5-vl-tiny best "),
        ("gpu/held-trace.json", "| attention | 264 | "),
        ("atlas/transformers-5.23.0.json", "| aimv2 | "),
    ],
)
def test_what_is_no_run_has_its_figures_in_markdown_too(name: str, row: str) -> None:
    text = vlbench.report(ROOT / "results" / name, progress=False).markdown()
    assert any(line.startswith(row) for line in text.splitlines()), text


def test_an_atlas() -> None:
    atlas = vlbench.load(ROOT / "results/atlas/transformers-5.23.0.json")
    assert isinstance(atlas, Surveyed)
    page = page_of(atlas)
    assert f"Atlas of {atlas.record.title}" in [text for _, text in page.headings]
    assert len(page.tables[0].rows) > 50


def test_a_recommendation() -> None:
    preset = PresetFile(
        flags=("a",), device="cpu", model="tiny", width=64, dtype="float32", scenario="small", point="", by="measured",
        grids=((1, 4, 4),), why={}, figures={}, created="2025-11-21", fingerprint=FINGERPRINT,
    )  # fmt: skip
    flag = FlagFound(flag="a", effect="helps", by="time", in_set=True, worth=WORTH)
    made = Recommendation(
        preset=preset, start="best", left_out=(), added=(), flags=(flag,), said=("it is so",), complete=True,
        compared=(Compared(name="baseline", worth=WORTH, verdict="regressed"),),
    )  # fmt: skip
    page = sound(page_of(Recommended(made)))
    figures = page.table("flags").by_name()["a*"]
    assert [figures[name] for name in ("ratio", "low", "high")] == [1.25, 1.2, 1.3]
    assert page.table("compared").by_name()["baseline"]["ratio"] == 1.25


def test_a_self_test_is_judged_again_and_names_no_set() -> None:
    names = {"baseline": 0.0, "copy": 0.0, "slow": 0.05}
    rows = tuple(Row(name=name, flags=None, exactness="bit-exact", slow_down=share) for name, share in names.items())
    trials = [
        trial(timed("copy", 1.0), timed("slow", 1.05), number=number, confirms=number > 4) for number in range(10)
    ]
    made = vlbench.report(Measured(results(group(*trials, rows=rows))), progress=False)
    assert made.record.answers == []
    (row,) = [row for row in Page(made.html()).table("injected").rows if row[0][0] == "+5 %"]
    assert [text for text, *_ in row][1:4] == ["1", "+5.0 %", "1"], "one row, measured, called slower"


def test_a_prediction_beside_what_was_measured_never_shares_a_column() -> None:
    told = predicted().record
    seen = group(trial(timed("best", 0.5)), scenario="square", point="grid=8x8", device="cuda")
    checked = CheckedPrediction(
        fingerprint=FINGERPRINT.model_copy(update={"gpu": "H100"}), predicted=datetime(2025, 11, 21, tzinfo=UTC),
        prediction=told,
    )  # fmt: skip
    page = page_of(Predictions(told, checked))
    assert any("H100" in text for _, text in page.headings)
    whole = checked.model_copy(update={"measured": results(seen)})
    page = sound(page_of(Predictions(told, whole)))
    text = vlbench.report(Predictions(told, whole), progress=False).markdown()
    assert "| variant | point | predicted ms | measured ms | lies | error |" in text
    assert "| best | grid=8x8 | 16.0-24.0 | 5.25 | below it | -75.0 % |" in text
    assert "| best | grid=8x8 | 5.00-6.67 | 2.00 |" in text
    row = {key: value for _, found, _ in page.table("checked").rows[1] for key, value in found.items()}
    span = told.groups[0].rows[1].span
    assert span
    assert (row["span_low"], row["span_high"]) == (span.low, span.high)
    assert row["seconds"] == pytest.approx(0.5 * 0.0105)
    assert page.tiles[1][1]["speed_up"] == pytest.approx(2.0), "what was measured has an answer of its own"
    of_times = [table for table in page.tables if "speed-up, drawn" in table.heads]
    assert not any("predicted" in head for table in of_times for head in table.heads)
