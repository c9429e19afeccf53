"""What counts as a difference between two captures."""

from __future__ import annotations

from pathlib import Path

import pytest

import vlbench.nsys
from vlbench.comparing.captured import judge_difference
from vlbench.judging.exit_codes import ExitCode
from vlbench.nsys.compare import Difference
from vlbench.nsys.frames import Capture

from .synthetic import Database, thread

MAIN = thread(100, 1)


def program(folder: Path, name: str, *, forwards: int = 4, launches: int = 5, extra: str = "", **facts: str) -> Capture:
    """Forwards with a fixed number of launches; the first one also allocates."""
    database = Database()
    corr = 0
    for number in range(forwards):
        start = number * 10_000
        database.range(start, start + 9_000, "forward", MAIN)
        for launch in range(launches):
            database.launch(start + 10 + launch * 10, MAIN, corr, runs=20 + number)
            corr += 1
        if number == 0:
            database.call(start + 5000, start + 5010, "cudaMalloc", MAIN, corr)
            corr += 1
    if extra:
        database.range(forwards * 10_000, forwards * 10_000 + 5, extra, MAIN)
    for key, value in facts.items():
        database.add("META_DATA_CAPTURE", name=key, value=value)
    return vlbench.nsys.load(database.save(folder / f"{name}.sqlite"))


def exit_code(found: Difference) -> ExitCode:
    return judge_difference(found, "a", "b").exit_code


def test_the_same_program_is_the_same(tmp_path: Path) -> None:
    found = vlbench.nsys.diff(program(tmp_path, "a"), program(tmp_path, "b"))
    assert exit_code(found) == ExitCode.OK
    assert found.counters.empty
    assert not found.times.empty


def test_one_launch_more_is_a_regression_and_one_less_is_not(tmp_path: Path) -> None:
    five, six = program(tmp_path, "a"), program(tmp_path, "b", launches=6)
    worse = vlbench.nsys.diff(five, six)
    assert exit_code(worse) == ExitCode.REGRESSED
    rows = worse.counters.set_index("counter")
    assert rows.loc["launches", ["a", "b", "change"]].to_list() == [20, 24, "up"]
    better = vlbench.nsys.diff(six, five)
    assert exit_code(better) == ExitCode.OK
    assert set(better.counters["change"]) == {"down"}


def test_longer_windows_of_one_program_are_the_same(tmp_path: Path) -> None:
    """Only the first forward allocates: totals and means differ, medians per instance do not."""
    found = vlbench.nsys.diff(program(tmp_path, "a", forwards=4), program(tmp_path, "b", forwards=9))
    assert exit_code(found) == ExitCode.OK
    assert found.counters.empty
    worse = vlbench.nsys.diff(program(tmp_path, "c", forwards=4), program(tmp_path, "d", forwards=9, launches=6))
    assert exit_code(worse) == ExitCode.REGRESSED
    assert worse.counters["per_instance"].all()


def test_a_vanished_range_is_missing_and_an_appeared_one_is_not(tmp_path: Path) -> None:
    plain, more = program(tmp_path, "a"), program(tmp_path, "b", extra="rope")
    assert vlbench.nsys.diff(plain, more).appeared == (":rope",)
    assert exit_code(vlbench.nsys.diff(plain, more)) == ExitCode.OK
    assert vlbench.nsys.diff(more, plain).vanished == (":rope",)
    assert exit_code(vlbench.nsys.diff(more, plain)) == ExitCode.MISSING


def test_a_vanished_range_outranks_a_regression(tmp_path: Path) -> None:
    found = vlbench.nsys.diff(program(tmp_path, "a", extra="rope"), program(tmp_path, "b", launches=6))
    assert exit_code(found) == ExitCode.MISSING


@pytest.mark.parametrize("fact", ["CUDA_GRAPH_TRACE_OPTIONS:MODE", "CUDA_SKIP_SOME_API_CALLS"])
def test_other_settings_do_not_compare(tmp_path: Path, fact: str) -> None:
    found = vlbench.nsys.diff(program(tmp_path, "a", **{fact: "x"}), program(tmp_path, "b", **{fact: "y"}))
    assert exit_code(found) == ExitCode.MISSING
    assert "x and y" in found.obstacles[0]
    untold = vlbench.nsys.diff(program(tmp_path, "c", **{fact: "x"}), program(tmp_path, "d"))
    assert exit_code(untold) == ExitCode.OK


def test_another_gpu_does_not_compare(tmp_path: Path) -> None:
    one, two = program(tmp_path, "a"), program(tmp_path, "b")
    one.gpus, two.gpus = ("NVIDIA A100",), ("NVIDIA H200",)
    assert "other GPUs" in vlbench.nsys.diff(one, two).obstacles[0]


def test_nothing_to_compare_is_not_a_pass(tmp_path: Path) -> None:
    empty = vlbench.nsys.load(Database().save(tmp_path / "empty.sqlite"))
    assert exit_code(vlbench.nsys.diff(empty, empty)) == ExitCode.MISSING
    assert exit_code(vlbench.nsys.diff(program(tmp_path, "a"), empty)) == ExitCode.MISSING


def test_lost_calls_are_noted(tmp_path: Path) -> None:
    database = Database()
    database.range(0, 100, "forward", MAIN)
    database.launch(10, MAIN, 1)
    database.kernel(50, 60, "orphan", MAIN, 99)
    cut = vlbench.nsys.load(database.save(tmp_path / "cut.sqlite"))
    assert "1 of 2 GPU operations have no API call" in vlbench.nsys.diff(cut, cut).notes[0]
