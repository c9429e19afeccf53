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
    """Only the first forward allocates: totals and means differ, those of the first four do not."""
    found = vlbench.nsys.diff(program(tmp_path, "a", forwards=4), program(tmp_path, "b", forwards=9))
    assert exit_code(found) == ExitCode.OK
    assert found.counters.empty
    worse = vlbench.nsys.diff(program(tmp_path, "c", forwards=4), program(tmp_path, "d", forwards=9, launches=6))
    assert exit_code(worse) == ExitCode.REGRESSED
    assert set(worse.counters["over"]) == {"first 4"}


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
    assert "no API call for 1 of 2 GPU operations" in vlbench.nsys.diff(cut, cut).uncounted[0]
    judged = judge_difference(vlbench.nsys.diff(cut, cut), "a", "b")
    assert judged.exit_code == ExitCode.MISSING
    assert "no API call for 1 of 2 GPU operations" in judged.rows[0].reason


def beside(folder: Path, name: str, waits: int, *, forwards: int = 4, tid: int = MAIN, at: int = 8_990) -> Capture:
    """Forwards with waits that begin at `at` and take 20: by themselves beyond the end of theirs."""
    database = Database()
    for number in range(forwards):
        start = number * 10_000
        database.range(start, start + 9_000, "forward", MAIN)
        database.launch(start + 10, MAIN, number)
        for wait in range(waits):
            corr = forwards + number * waits + wait
            database.call(start + at + 21 * wait, start + at + 21 * wait + 20, "cudaStreamSynchronize", tid, corr)
    return vlbench.nsys.load(database.save(folder / f"{name}.sqlite"))


@pytest.mark.parametrize(("tid", "at"), [(MAIN, 8_990), (thread(100, 2), 500)], ids=["overrun", "thread"])
def test_waits_beside_the_ranges_are_not_passed_over(tmp_path: Path, tid: int, at: int) -> None:
    none, one = (beside(tmp_path, str(waits), waits, tid=tid, at=at) for waits in (0, 1))
    assert one.api["family"].eq("sync").sum() == 4
    judged = judge_difference(vlbench.nsys.diff(none, one), "a", "b")
    assert judged.exit_code == ExitCode.MISSING
    assert judged.rows[0].reason.startswith("4 syncs of the second began while a range was open, on another thread")
    longer = beside(tmp_path, "longer", 1, forwards=9, tid=tid, at=at)
    for before, after in ((one, none), (one, one), (one, longer)):
        assert exit_code(vlbench.nsys.diff(before, after)) == ExitCode.OK
    between, other = beside(tmp_path, "after", 1, at=9_500), beside(tmp_path, "process", 1, tid=thread(200, 1), at=500)
    assert {exit_code(vlbench.nsys.diff(none, each)) for each in (between, other)} == {ExitCode.OK}


@pytest.mark.parametrize(("waits", "code"), [(10, ExitCode.OK), (11, ExitCode.OK), (12, ExitCode.MISSING)])
def test_calls_of_other_threads_may_differ_by_a_tenth_from_run_to_run(
    tmp_path: Path, waits: int, code: ExitCode
) -> None:
    ten, more = (
        beside(tmp_path, name, many, forwards=1, tid=thread(100, 2), at=500)
        for name, many in (("ten", 10), ("more", waits))
    )
    assert exit_code(vlbench.nsys.diff(ten, more)) == code


def layers(folder: Path, name: str, forwards: int, *, wait: int = 0, from_forward: int = 0) -> Capture:
    """Forwards of 28 windowed and 4 full attention layers; from one on, the full ones wait `wait` times."""
    database, now = Database(), 0
    for layer in range(32 * forwards):
        database.range(now, now + 900, "attention", MAIN)
        database.launch(now + 10, MAIN, 10 * layer)
        for call in range(wait * (layer % 8 == 7 and layer >= 32 * from_forward)):
            database.call(
                now + 400 + 20 * call, now + 410 + 20 * call, "cudaStreamSynchronize", MAIN, 10 * layer + 5 + call
            )
        now += 1000
    return vlbench.nsys.load(database.save(folder / f"{name}.sqlite"))


def test_what_few_layers_do_counts_too(tmp_path: Path) -> None:
    """Sixteen new waits in 4 of 32 layers, which no median of instances sees, whichever capture is the longer."""
    short, long = layers(tmp_path, "a", 3), layers(tmp_path, "b", 4)
    assert exit_code(vlbench.nsys.diff(short, long)) == ExitCode.OK
    assert exit_code(vlbench.nsys.diff(long, short)) == ExitCode.OK
    worse = vlbench.nsys.diff(short, layers(tmp_path, "c", 4, wait=1))
    assert exit_code(worse) == ExitCode.REGRESSED
    assert worse.counters.set_index("counter").loc["syncs", ["a", "b", "over"]].to_list() == [0, 12, "first 96"]
    assert exit_code(vlbench.nsys.diff(long, layers(tmp_path, "d", 3, wait=1))) == ExitCode.REGRESSED
    late = vlbench.nsys.diff(short, layers(tmp_path, "e", 6, wait=1, from_forward=4))
    assert exit_code(late) == ExitCode.REGRESSED
    assert late.counters.set_index("counter").loc["syncs", ["a", "b", "over"]].to_list() == [0, 8, "after 96"]
    mixed, longer = layers(tmp_path, "f", 3, wait=1), layers(tmp_path, "g", 5, wait=1)
    assert exit_code(vlbench.nsys.diff(mixed, longer)) == ExitCode.OK
    assert exit_code(vlbench.nsys.diff(mixed, layers(tmp_path, "h", 5, wait=2))) == ExitCode.REGRESSED
