"""From a count to the cells of a baseline, with a real tower that is counted in this process."""

from __future__ import annotations

import pytest

from vlbench.comparing.counted_cells import advice_of, counted_cell, why_incomplete
from vlbench.counting.job import Counted, CountJob, Event, Point
from vlbench.counting.worker import run_job
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
        (f"{TOYS}:compiled", "torch.compile: ran eagerly"),
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
