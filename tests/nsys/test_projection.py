"""The projection against brute force, and the cases where a simpler join or stack goes wrong."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

import vlbench.nsys
from vlbench.nsys.frames import Capture
from vlbench.nsys.measured import unmeasured
from vlbench.nsys.projection import inside_some_range

from .synthetic import Database, thread

MAIN, OTHER_THREAD, OTHER_PROCESS = thread(100, 1), thread(100, 2), thread(200, 1)


def by_name(capture: Capture) -> pd.DataFrame:
    table = vlbench.nsys.project(capture)
    return table.set_index(table["name"].astype(str))


def test_colliding_correlation_ids_stay_in_their_process(tmp_path: Path) -> None:
    database = Database()
    for tid, name in ((MAIN, "here"), (OTHER_PROCESS, "there")):
        database.range(0, 100, name, tid)
        database.launch(10, tid, corr=1, runs=20 if tid == MAIN else 70)
    table = by_name(vlbench.nsys.load(database.save(tmp_path / "a.sqlite")))
    assert table["kernels"].to_dict() == {"here": 1, "there": 1}
    assert table["work_ns"].to_dict() == {"here": 20, "there": 70}


def test_a_range_holds_only_calls_wholly_inside_it_on_its_thread(tmp_path: Path) -> None:
    database = Database()
    database.range(10, 100, "forward", MAIN)
    database.launch(5, MAIN, corr=1)  # [5, 10]: starts before
    database.launch(10, MAIN, corr=2)  # [10, 15]: touches the start
    database.launch(95, MAIN, corr=3)  # [95, 100]: touches the end
    database.call(40, 45, "cudaLaunchKernel", OTHER_THREAD, 4)
    database.kernel(50, 60, "elsewhere", OTHER_THREAD, 4)
    capture = vlbench.nsys.load(database.save(tmp_path / "a.sqlite"))
    row = by_name(capture).loc["forward"]
    assert (row["launches"], row["kernels"], row["first_launch_ns"]) == (2, 2, 0)
    assert inside_some_range(capture).sum() == 2


def test_overlapping_start_end_ranges(tmp_path: Path) -> None:
    database = Database()
    database.range(0, 50, "a", MAIN, kind=60)
    database.range(30, 90, "b", MAIN, kind=60)
    for corr, at in enumerate((10, 35, 70)):
        database.launch(at, MAIN, corr)
    table = by_name(vlbench.nsys.load(database.save(tmp_path / "a.sqlite")))
    assert table["kernels"].to_dict() == {"a": 2, "b": 2}
    assert table["self_launches"].isna().all()


def test_a_range_ended_on_another_thread_has_no_gpu_work(tmp_path: Path) -> None:
    database = Database()
    database.range(0, 50, "moved", MAIN, kind=60, end_tid=OTHER_THREAD)
    database.range(0, 50, "kept", MAIN, kind=60, end_tid=MAIN)
    database.launch(10, MAIN, corr=1)
    table = by_name(vlbench.nsys.load(database.save(tmp_path / "a.sqlite")))
    assert table["kernels"].to_dict() == {"moved": 0, "kept": 1}


def test_an_open_range_projects_to_the_last_timestamp(tmp_path: Path) -> None:
    database = Database()
    database.range(0, None, "open", MAIN)
    database.launch(10, MAIN, corr=1)
    row = by_name(vlbench.nsys.load(database.save(tmp_path / "a.sqlite"))).loc["open"]
    assert math.isnan(row["range_ns"])  # nobody knows how long it took
    assert row["kernels"] == 1


def test_a_graph_replay_is_one_launch_and_many_kernels(tmp_path: Path) -> None:
    database = Database()
    database.range(0, 50, "replay", MAIN)
    database.call(10, 20, "cudaGraphLaunch_v10000", MAIN, 1)
    for node in range(5):
        database.kernel(30 + node * 10, 38 + node * 10, f"node {node}", MAIN, 1, node=node + 1)
    database.range(100, 150, "whole", MAIN)
    database.call(110, 120, "cudaGraphLaunch_v10000", MAIN, 2)
    database.graph(130, 170, MAIN, 2)
    table = by_name(vlbench.nsys.load(database.save(tmp_path / "a.sqlite")))
    assert table["graph_launches"].to_list() == [1, 1]
    assert table["launches"].to_list() == [0, 0]
    assert table["kernels"].to_list() == [5, 0]
    assert table["graphs"].to_list() == [0, 1]
    assert table["work_ns"].to_list() == [40, 40]


def test_work_span_and_busy_are_three_numbers(tmp_path: Path) -> None:
    database = Database()
    database.range(0, 50, "forward", MAIN)
    for corr, (start, end) in enumerate([(100, 130), (120, 150), (170, 180)]):
        database.call(corr * 10, corr * 10 + 5, "cudaLaunchKernel", MAIN, corr)
        database.kernel(start, end, "k", MAIN, corr, stream=corr)
    row = by_name(vlbench.nsys.load(database.save(tmp_path / "a.sqlite"))).loc["forward"]
    assert (row["work_ns"], row["span_ns"], row["busy_ns"], row["idle_ns"]) == (70, 80, 60, 20)


def test_self_counts_leave_out_nested_ranges_of_the_same_domain(tmp_path: Path) -> None:
    database = Database()
    database.domain(1, "CCCL", MAIN)
    database.range(0, 100, "forward", MAIN)
    database.range(10, 40, "block", MAIN)
    database.range(12, 20, "cub", MAIN, domain=1)
    database.range(50, 80, "block", MAIN)
    for corr, at in enumerate((2, 13, 25, 55, 90)):
        database.launch(at, MAIN, corr)
    table = vlbench.nsys.per_range(vlbench.nsys.load(database.save(tmp_path / "a.sqlite")))
    assert table["launches"].to_dict() == {":forward": 5, ":block": 3, "CCCL:cub": 1}
    assert table["self_launches"].to_dict() == {":forward": 2, ":block": 3, "CCCL:cub": 1}
    assert table["depth"].to_dict() == {":forward": 0, ":block": 1, "CCCL:cub": 0}


def test_both_forms_of_text_are_one_name(tmp_path: Path) -> None:
    database = Database()
    database.range(0, 10, "forward", MAIN, registered=True)
    database.range(20, 30, "forward, seq = 7, op_id = 9, sizes = [[1, 2], []]", MAIN)
    database.range(40, 50, "{'Module': 'model.visual', 'Inputs': [[1, 2]]}", MAIN)
    table = vlbench.nsys.per_range(vlbench.nsys.load(database.save(tmp_path / "a.sqlite")))
    assert table["instances"].to_dict() == {":forward": 2, ":model.visual": 1}


def test_a_repeated_correlation_id_does_not_double_the_work(tmp_path: Path) -> None:
    database = Database()
    database.range(0, 100, "forward", MAIN)
    database.call(8, 30, "cudaGetLastError", MAIN, 1)
    database.launch(10, MAIN, corr=1)
    capture = vlbench.nsys.load(database.save(tmp_path / "a.sqlite"))
    assert len(capture.gpu_ops) == 1
    assert capture.api["name"].iloc[capture.gpu_ops["api"].iloc[0]] == "cudaLaunchKernel"
    assert by_name(capture).loc["forward", "kernels"] == 1


spans = st.tuples(st.integers(0, 60), st.integers(0, 25)).map(lambda pair: (pair[0], pair[0] + pair[1]))
threads = st.sampled_from([MAIN, OTHER_THREAD, OTHER_PROCESS])
names = st.sampled_from(["cudaLaunchKernel_v7000", "cudaStreamSynchronize", "cudaMemcpyAsync", "cudaMalloc"])


@settings(max_examples=80, deadline=None)
@given(
    ranges=st.lists(st.tuples(spans, threads, st.sampled_from([59, 60]), st.booleans()), max_size=12),
    calls=st.lists(
        st.tuples(spans, threads, names, st.lists(st.tuples(spans, st.booleans()), max_size=3)), max_size=14
    ),
)
def test_projection_equals_brute_force(ranges: list, calls: list) -> None:
    database = Database()
    for index, (span, tid, kind, moved) in enumerate(ranges):
        end_tid = OTHER_THREAD + 5 if moved and kind == 60 else None
        database.range(*span, f"r{index}", tid, kind=kind, end_tid=end_tid)
    for index, (span, tid, name, works) in enumerate(calls):
        corr = (
            index // 2 if tid == OTHER_PROCESS else index
        )  # ids collide between the processes, and inside one of them
        database.call(*span, name, tid, corr)
        for work, copied in works:
            if copied:
                database.copy(*work, tid, corr)
            else:
                database.kernel(*work, "k", tid, corr)
    with tempfile.TemporaryDirectory() as folder:
        capture = vlbench.nsys.load(database.save(Path(folder) / "a.sqlite"))
    table = vlbench.nsys.project(capture)
    not_measured = unmeasured(capture)

    for row, (span, tid, kind, moved) in enumerate(ranges):
        got = table.iloc[row]
        inside = [] if moved and kind == 60 else [
            number
            for number, (call, owner, _, _) in enumerate(calls)
            if owner == tid and span[0] <= call[0] and call[1] <= span[1]
        ]  # fmt: skip
        asked = _operations(calls)
        works = [work for number, work in asked if number in inside]
        covered = {moment for (start, end), _ in works for moment in range(start, end)}
        wanted = {"api_calls": len(inside)}
        wanted["api_ns"] = sum(calls[number][0][1] - calls[number][0][0] for number in inside)
        wanted |= {"launches": sum(calls[number][2].startswith("cudaLaunch") for number in inside)}
        wanted["syncs"] = sum(calls[number][2] == "cudaStreamSynchronize" for number in inside)
        hidden = [n for n in inside if calls[n][2] == "cudaMemcpyAsync" and any(n == m and c for m, (_, c) in asked)]
        wanted["hidden_syncs"] = len(hidden)
        wanted["kernels"] = sum(not copied for _, copied in works)
        wanted["gpu_ops"] = len(works)
        wanted["work_ns"] = sum(end - start for (start, end), _ in works)
        wanted["busy_ns"] = len(covered)
        for name, value in wanted.items():
            assert pd.isna(got[name]) if name in not_measured else got[name] == value
        if works:
            assert got["gpu_start"] == min(start for (start, _), _ in works)
            assert got["gpu_end"] == max(end for (_, end), _ in works)
        launches = [calls[number][0][0] - span[0] for number in inside if calls[number][2].startswith("cudaLaunch")]
        assert pd.isna(got["first_launch_ns"]) if not launches else got["first_launch_ns"] == min(launches)


def _operations(calls: list) -> list:
    """Each GPU operation with the number of the call that the join must give it."""
    result = []
    for number, (_, tid, _, works) in enumerate(calls):
        owner = number
        if tid == OTHER_PROCESS:
            same = [n for n, call in enumerate(calls) if call[1] == OTHER_PROCESS and n // 2 == number // 2]
            owner = same[0]
        result += [(owner, work) for work in works]
    return result


def test_projection_of_nothing(tmp_path: Path) -> None:
    capture = vlbench.nsys.load(Database().save(tmp_path / "a.sqlite"))
    assert vlbench.nsys.project(capture).empty
    assert vlbench.nsys.per_range(capture).empty


@pytest.mark.parametrize("streams", [1, 2])
def test_many_operations_of_one_range_take_the_sorted_path(tmp_path: Path, streams: int) -> None:
    """More operations than a block, on one stream or on two that overlap."""
    database = Database()
    database.range(0, 10_000, "forward", MAIN)
    for corr in range(500):
        database.call(corr * 10, corr * 10 + 5, "cudaLaunchKernel", MAIN, corr)
        start = corr * 10 + (3 if corr % streams else 20)
        database.kernel(start, start + 8, "k", MAIN, corr, stream=corr % streams)
    row = by_name(vlbench.nsys.load(database.save(tmp_path / "a.sqlite"))).loc["forward"]
    covered: set[int] = set()
    for kernel in database.rows["CUPTI_ACTIVITY_KIND_KERNEL"]:
        covered |= set(range(kernel["start"], kernel["end"]))
    assert row["busy_ns"] == len(covered)
    assert row["span_ns"] == max(covered) + 1 - min(covered)
