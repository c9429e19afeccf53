"""From a count to the cells of a baseline, with a real tower that is counted in this process.

A scenario must feed in what it fed in when a cell was counted.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.record.baselines import cell
from tests.trial.plans import SCENARIO_FILE
from vlbench.comparing.counted_cells import advice_of, counted_cell, grid_point, points_of, why_gone, why_incomplete
from vlbench.counting.job import Counted, CountJob, Event, Point
from vlbench.counting.worker import run_job
from vlbench.implementations.preprocessing import Preprocessing
from vlbench.record.baseline import CountedCell
from vlbench.record.counted import CountedTower

POINT = Point(scenario="grid", label="1x16x16", grids=((1, 16, 16),))
TINY, TOYS = "qwen2.5-vl-tiny", "tests.counting.toy_towers"


@pytest.fixture(scope="module")
def rows() -> dict[str, CountedTower]:
    towers = (TINY, f"{TOYS}:BoundsOnDevice", f"{TOYS}:Undeclared", f"{TOYS}:compiled", f"{TOYS}:broken", "no:thing")
    job = CountJob(towers=towers, variants=None, points=(POINT,), profile="sm_90", dtype="bfloat16", keep_going=True)
    events: list[Event] = []
    run_job(job, events.append)
    return {event.row.tower: event.row for event in events if isinstance(event, Counted)}


@pytest.fixture
def tiny(rows: dict[str, CountedTower]) -> CountedCell:
    return counted_cell(rows[TINY], POINT, "sm_90", "bfloat16")


def test_stages_hold_all_that_is_counted_with_blocks_added_up(tiny: CountedCell) -> None:
    assert {"block.attention", "block.mlp", "patch_embed"} <= tiny.warm.stages.keys()
    for counter, total in tiny.warm.counters.items():
        if counter != "peak_live_bytes":
            assert sum(stage.get(counter, 0) for stage in tiny.warm.stages.values()) == total
    assert sum(tiny.warm.operations.values()) == tiny.warm.counters["device_operations"]
    assert all(value for stage in tiny.warm.stages.values() for value in stage.values())


def test_each_place_is_one_line_and_read_backs_add_up(tiny: CountedCell) -> None:
    places = [(line.event, line.where) for line in tiny.warm.sites]
    assert len(places) == len(set(places))
    assert sum(line.times for line in tiny.warm.sites if line.event == "read-back") == tiny.warm.counters["read_backs"]
    assert all(str(line.where).startswith("vlbench/implementations/") for line in tiny.warm.sites)


def test_pageable_uploads_are_those_that_are_not_pinned(rows: dict[str, CountedTower], tiny: CountedCell) -> None:
    warm = rows[TINY].warm
    assert warm is not None
    total = warm.counts.total
    assert tiny.warm.counters["pageable_uploads"] == total.uploads - total.pinned_uploads > 0


def test_advice_comes_with_the_place(rows: dict[str, CountedTower]) -> None:
    row = rows[f"{TOYS}:BoundsOnDevice"]
    found = counted_cell(row, POINT, "sm_90", "bfloat16")
    advice = advice_of(row)
    assert advice.keys() <= {(line.event, line.where) for line in found.warm.sites}
    assert "keep lengths and bounds on the host (as host-seqlens does)" in advice.values()


@pytest.mark.parametrize(
    ("tower", "words"),
    [
        (f"{TOYS}:Undeclared", "unknown operation vlbench_toys::counted_up; say what it is with"),
        (f"{TOYS}:compiled", "torch.compile: Linear._call_impl ran eagerly, so the kernels"),
        (f"{TOYS}:broken", "the factory raised OSError: no weights here"),
        ("no:thing", "no cannot be imported"),
    ],
)
def test_whoever_cannot_be_gated_on_has_a_reason_and_the_others_are_counted(
    rows: dict[str, CountedTower], tower: str, words: str
) -> None:
    reason = why_incomplete(rows[tower])
    assert reason is not None
    assert words in reason
    assert "\n" not in reason
    assert why_incomplete(rows[TINY]) is None


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(SCENARIO_FILE)


@pytest.mark.usefixtures("folder")
def test_a_scenario_keeps_its_name_as_it_is_written() -> None:
    (point,) = points_of("mine.toml")
    assert (point.scenario, point.label, point.fed_to(Preprocessing()).grids) == (
        "mine.toml",
        "",
        ((1, 4, 6), (1, 4, 6)),
    )
    (point,) = points_of("single-image")
    assert point.fed_to(Preprocessing()).grids == ((1, 36, 36),)


@pytest.mark.usefixtures("folder")
def test_nothing_is_gone_as_long_as_it_is_the_same() -> None:
    assert why_gone(cell(scenario="mine.toml", grids=((1, 4, 6), (1, 4, 6)))) is None
    assert why_gone(cell(scenario="single-image", grids=((1, 36, 36),))) is None
    given = grid_point(((1, 4, 6), (2, 8, 8)))
    assert given.label == "1x4x6+2x8x8"
    assert why_gone(cell(scenario=given.scenario, point=given.label, grids=given.grids)) is None


@pytest.mark.usefixtures("folder")
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
