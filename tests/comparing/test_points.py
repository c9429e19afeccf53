"""A scenario must feed in what it fed in when a cell was counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.record.baselines import cell
from tests.trial.plans import SCENARIO_FILE
from vlbench.comparing.points import grid_point, points_of, why_gone
from vlbench.implementations.preprocessing import Preprocessing


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(SCENARIO_FILE)


def test_a_scenario_keeps_its_name_as_it_is_written() -> None:
    (point,) = points_of("mine.toml")
    assert (point.scenario, point.label, point.fed_to(Preprocessing()).grids) == (
        "mine.toml",
        "",
        ((1, 4, 6), (1, 4, 6)),
    )
    (point,) = points_of("single-image")
    assert point.fed_to(Preprocessing()).grids == ((1, 36, 36),)


def test_nothing_is_gone_as_long_as_it_is_the_same() -> None:
    assert why_gone(cell(scenario="mine.toml", grids=((1, 4, 6), (1, 4, 6)))) is None
    assert why_gone(cell(scenario="single-image", grids=((1, 36, 36),))) is None
    given = grid_point(((1, 4, 6), (2, 8, 8)))
    assert given.label == "1x4x6+2x8x8"
    assert why_gone(cell(scenario=given.scenario, point=given.label, grids=given.grids)) is None


@pytest.mark.parametrize(
    ("scenario", "point", "words"),
    [
        ("gone.toml", "", "gone.toml does not exist"),
        ("single-imag", "", "there is no scenario 'single-imag'; did you mean 'single-image'?"),
        ("mine.toml", "count=4", "scenario mine.toml has no point 'count=4' any more"),
        ("mine.toml", "", "scenario mine.toml feeds 1x4x6, 1x4x6 now, and 1x8x8 when it was counted"),
    ],
)
def test_what_is_gone_is_said(scenario: str, point: str, words: str) -> None:
    reason = why_gone(cell(tower="qwen2.5-vl-tiny", scenario=scenario, point=point, grids=((1, 8, 8),)))
    assert reason is not None
    assert words in reason
