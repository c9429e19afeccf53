"""Captures as evidence, on databases built like those of Nsight Systems and, where they are, on real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlbench.comparing.captured import captured_cell, captured_notes, judge_captured
from vlbench.errors import UsageError
from vlbench.judging.verdict import Verdict
from vlbench.record.baseline import CapturedCell

from ..nsys.conftest import public_captures
from ..nsys.synthetic import Database, thread
from ..nsys.test_compare import beside

__all__ = ["public_captures"]
MAIN = thread(100, 1)


def program(folder: Path, name: str, *, forwards: int = 4, launches: int = 5, last: int = 0, **facts: str) -> Path:
    """Forwards of a few launches; the first also allocates, and the last has `last` launches more."""
    database = Database()
    corr = 0
    for number in range(forwards):
        start = number * 10_000
        database.range(start, start + 9_000, "forward", MAIN)
        for launch in range(launches + (last if number == forwards - 1 else 0)):
            database.launch(start + 10 + launch * 10, MAIN, corr)
            corr += 1
        if number == 0:
            database.call(start + 5000, start + 5010, "cudaMalloc", MAIN, corr)
            corr += 1
    for key, value in facts.items():
        database.add("META_DATA_CAPTURE", name=key, value=value)
    return database.save(folder / f"{name}.sqlite")


def cell(folder: Path, name: str, **settings: int) -> CapturedCell:
    return captured_cell(program(folder, name, **settings))  # type: ignore[arg-type]


def test_what_every_pass_has_is_kept_and_what_the_first_alone_does_is_not(tmp_path: Path) -> None:
    (forward,) = cell(tmp_path, "a").ranges
    assert (forward.name, forward.instances) == (":forward", 3)
    assert (forward.counters["launches"], forward.counters["kernels"]) == (5, 5)
    assert "allocs" not in forward.counters
    assert not forward.unsteady


def test_the_same_program_is_the_same_however_long_it_was_watched(tmp_path: Path) -> None:
    row = judge_captured(cell(tmp_path, "a"), cell(tmp_path, "b", forwards=9))
    assert row.verdict is Verdict.SAME
    assert not row.moves


def test_what_is_stored_is_read_back(tmp_path: Path) -> None:
    stored = cell(tmp_path, "a", last=2)
    again = CapturedCell.model_validate_json(stored.model_dump_json())
    assert again == stored
    assert judge_captured(again, stored).verdict is Verdict.SAME


def test_a_launch_more_is_a_regression_and_names_the_range(tmp_path: Path) -> None:
    five, six = cell(tmp_path, "a"), cell(tmp_path, "b", launches=6)
    row = judge_captured(five, six)
    assert row.verdict is Verdict.REGRESSED
    assert {(move.name, move.before, move.after, move.stage) for move in row.moves} >= {("launches", 5, 6, ":forward")}
    assert ":forward" in row.reason
    assert judge_captured(six, five).verdict is Verdict.IMPROVED


def test_a_band_lets_a_counter_differ(tmp_path: Path) -> None:
    five, six = cell(tmp_path, "a"), cell(tmp_path, "b", launches=6)
    loose = five.model_copy(update={"bands": {move.name: 0.25 for move in judge_captured(five, six).moves}})
    assert judge_captured(loose, six).verdict is Verdict.SAME


def test_a_counter_that_varies_is_not_gated(tmp_path: Path) -> None:
    unsteady = cell(tmp_path, "a", last=1)
    (forward,) = unsteady.ranges
    assert "launches" in forward.unsteady
    assert judge_captured(unsteady, cell(tmp_path, "b", launches=4)).verdict is Verdict.SAME


def test_a_counter_that_the_new_capture_does_not_know_is_missing(tmp_path: Path) -> None:
    stored = cell(tmp_path, "a", launches=4)
    row = judge_captured(stored, cell(tmp_path, "b", last=1))
    assert row.verdict is Verdict.MISSING
    assert row.reason.endswith("of :forward was 4 and now varies, so nothing is known of it")
    (forward,) = stored.ranges
    newer = forward.model_copy(update={"counters": forward.counters | {"frobs": 1}})
    row = judge_captured(stored.model_copy(update={"ranges": (newer,)}), stored)
    assert row.verdict is Verdict.MISSING
    assert row.reason == "the counter frobs of :forward is not known to this vlbench, so it was not counted"


def layers(folder: Path, name: str, forwards: int, *, syncs: int = 0, full: int = 4) -> Path:
    """Forwards of 32 attention layers, of which `full` launch twice and wait `syncs` times."""
    database, now = Database(), 0
    for layer in range(32 * forwards):
        is_full = layer % (32 // full) == 32 // full - 1
        database.range(now, now + 900, "attention", MAIN)
        for launch in range(1 + is_full):
            database.launch(now + 10 + 20 * launch, MAIN, 10 * layer + launch)
        for sync in range(syncs * is_full):
            database.call(
                now + 400 + 20 * sync, now + 410 + 20 * sync, "cudaStreamSynchronize", MAIN, 10 * layer + 5 + sync
            )
        now += 1000
    return database.save(folder / f"{name}.sqlite")


@pytest.mark.parametrize("full", [2, 4, 8])
def test_what_few_layers_do_counts_too(tmp_path: Path, full: int) -> None:
    """One layer in 16, in 8, in 4: neither the median nor nine in ten instances see it."""
    before, longer = (captured_cell(layers(tmp_path, f"b{number}", number, full=full)) for number in (3, 4))
    assert judge_captured(before, longer).verdict is Verdict.SAME
    assert judge_captured(longer, before).verdict is Verdict.SAME
    row = judge_captured(before, captured_cell(layers(tmp_path, "after", 4, full=full, syncs=1)))
    assert row.verdict is Verdict.REGRESSED
    assert "syncs in :attention rose from 0 to 0." in row.reason


def test_a_capture_of_unknown_calls_or_with_lost_rows_is_no_evidence(tmp_path: Path) -> None:
    database = Database()
    database.call(5, 6, "hipStreamFooBar", MAIN, 1)
    with pytest.raises(UsageError, match="no table knows its API calls hipStreamFooBar"):
        captured_cell(database.save(tmp_path / "unknown.sqlite"))
    database = Database()
    database.add("DIAGNOSTIC_EVENT", severity=1, text="Number of CUDA events collected: \t2,000.")
    with pytest.raises(UsageError, match="nsys collected 2000 CUDA events, and the file has 0"):
        captured_cell(database.save(tmp_path / "cut.sqlite"))


@pytest.mark.parametrize(("tid", "at"), [(MAIN, 8_990), (thread(100, 2), 500)], ids=["overrun", "thread"])
def test_waits_beside_the_ranges_are_missing_as_in_a_difference(tmp_path: Path, tid: int, at: int) -> None:
    none, one, longer = (
        captured_cell(Path(beside(tmp_path, f"{waits}-{forwards}", waits, forwards=forwards, tid=tid, at=at).path))
        for waits, forwards in ((0, 4), (1, 4), (1, 9))
    )
    assert (none.beside, one.beside, longer.beside) == ({}, {"syncs": 4}, {"syncs": 9})
    row = judge_captured(none, one)
    assert row.verdict is Verdict.MISSING
    assert row.reason.startswith("4 syncs of this capture began while a range was open, on another thread or beyond")
    assert "of the baseline 0 did; 2 counters of 1 range are what they were" in row.reason
    older = none.model_copy(update={"beside": None})
    for before, after in ((one, none), (one, one), (one, longer), (longer, one), (older, one)):
        assert judge_captured(before, after).verdict is Verdict.SAME


def test_what_one_of_two_captures_cannot_count_is_missing_and_no_improvement(tmp_path: Path) -> None:
    database = Database()
    for number in range(4):
        start = 1_000 * number
        database.range(start, start + 900, "forward", MAIN)
        database.launch(start + 10, MAIN, 2 * number)
        database.call(start + 100, start + 110, "cudaMemcpyAsync", MAIN, 2 * number + 1)
        database.copy(start + 120, start + 130, MAIN, 2 * number + 1)
    whole = captured_cell(database.save(tmp_path / "whole.sqlite"))
    cut = captured_cell(database.save(tmp_path / "cut.sqlite", without=["CUPTI_ACTIVITY_KIND_MEMCPY"]))
    assert (whole.ranges[0].counters["memcpys"], whole.unmeasured) == (1, {})
    for before, after, which in ((whole, cut, "this capture"), (cut, whole, "the baseline")):
        row = judge_captured(before, after)
        assert row.verdict is Verdict.MISSING
        assert f"memcpys not measured in {which}: there are calls that ask for them and no memcpy row" in row.reason
        assert not [move for move in row.moves if move.name == "memcpys"]
    assert judge_captured(cut, cut).verdict is Verdict.SAME
    assert any("memcpys not measured in either" in note for note in captured_notes([cut], {"cut": cut}))


def test_a_range_that_is_gone_is_missing(tmp_path: Path) -> None:
    before = cell(tmp_path, "a")
    renamed = before.ranges[0].model_copy(update={"name": ":encode"})
    row = judge_captured(before.model_copy(update={"ranges": (*before.ranges, renamed)}), before)
    assert row.verdict is Verdict.MISSING
    assert ":encode" in row.reason


def test_what_does_not_compare_is_refused(tmp_path: Path) -> None:
    here = captured_cell(program(tmp_path, "a", **{"CUDA_GRAPH_TRACE_OPTIONS:MODE": "node"}))  # type: ignore[arg-type]
    for update, words in (
        ({"source": "kineto"}, "which do not count the same calls"),
        ({"gpus": ("NVIDIA H200",)}, "from NVIDIA H200"),
        ({"facts": {"CUDA_GRAPH_TRACE_OPTIONS:MODE": "graph"}}, "CUDA graph mode was graph and is node"),
    ):
        row = judge_captured(here.model_copy(update=update), here)
        assert row.verdict is Verdict.MISSING
        assert words in row.reason


def test_a_capture_without_evidence_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="gone through 3 times or more"):
        cell(tmp_path, "a", forwards=2)
    with pytest.raises(UsageError, match="no range that fits 'rope'"):
        captured_cell(program(tmp_path, "b"), "rope")
    with pytest.raises(UsageError, match="not a regular expression"):
        captured_cell(program(tmp_path, "c"), "(")


def test_real_captures_agree_with_themselves_and_round_trip(public_captures: Path) -> None:
    found = 0
    for path in sorted((public_captures / "captures").glob("*.sqlite")):
        try:
            one = captured_cell(path)
        except UsageError:
            continue  # no ranges, or too short
        found += 1
        again = CapturedCell.model_validate_json(one.model_dump_json())
        assert judge_captured(again, captured_cell(path)).verdict is Verdict.SAME
    assert found
