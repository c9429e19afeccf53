"""Captures give the numbers that were computed independently of this code, to the nanosecond.

Small ones by hand, which are always here; public ones by a script of its own, where they lie beside the repository.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import vlbench.nsys
from tests.nsys.synthetic import SCHEMA, Database, thread
from vlbench.comparing.captured import judge_difference
from vlbench.nsys.frames import Capture
from vlbench.nsys.names import DIRECTIONS, MEMORY_KINDS, NOT_RECORDED

CAPTURES = [
    "cupy_power_iteration",
    "handmade_no_memory_kinds",
    "memset_only",
    "no_kernel_table",
    "osrt_only_2023",
    "pinned_copies_cut",
    "pytorch_attention_windows",
    "pytorch_transformer",
    "tiny_torch",
    "two_processes_after",
    "two_processes_before",
]
COPIES = "memcpy[copyKind,srcKind,dstKind,count,bytes,ns]"
RANGES = "nvtx[instances,range_ns,kernels,gpu_ops,proj_ns,busy_union_ns]"


@pytest.fixture(params=CAPTURES)
def case(request: pytest.FixtureRequest, public_captures: Path) -> tuple[Capture, dict[str, Any]]:
    golden = json.loads((public_captures / "golden.json").read_text())
    name = f"{request.param}.sqlite"
    return vlbench.nsys.load(public_captures / "captures" / name), golden[name]


def test_every_number(case: tuple[Capture, dict[str, Any]]) -> None:
    check(*case)


def program(*threads: int) -> Database:
    """Two steps on each of the threads, 1 us each: an upload from pageable memory, two kernels, a synchronization."""
    made = Database()
    for tid in threads:
        for step in range(2):
            at, corr = 1000 * step, 10 * step  # the same in every process
            made.range(at, at + 1000, "step", tid)
            made.call(at + 10, at + 110, "cudaMemcpyAsync_v3020", tid, corr + 1)
            made.copy(at + 20, at + 60, tid, corr + 1)
            made.launch(at + 200, tid, corr + 2)
            made.launch(at + 300, tid, corr + 3)
            made.call(at + 400, at + 450, "cudaStreamSynchronize_v3020", tid, corr + 4)
    return made


HERE, ELSEWHERE = thread(7, 7), thread(8, 8)
CALLS = {"cudaMemcpyAsync": [2, 200], "cudaLaunchKernel": [4, 20], "cudaStreamSynchronize": [2, 100]}
OF_ALL = {"nsys": "2026.2.1", "schema": "3.25.0"}
SMALL: dict[str, tuple[Database, dict[str, Any], dict[str, Any]]] = {
    "all that there is": (
        program(HERE),
        {},
        {
            "cuda_api": CALLS,
            "kernels": [4, 80],
            "kernels_with_api_row": 4,
            COPIES: [[1, 0, 2, 2, 128, 80]],
            RANGES: {":step": [2, 2000, 4, 6, 620, 160]},
            "gpu_ops": 6,
            "gpu_ops_without_api_row": 0,
            "gpu_ops_inside_some_range": 6,
        },
    ),
    "two processes with the same ids": (
        program(HERE, ELSEWHERE),
        {},
        {
            "cuda_api": {name: [2 * count, 2 * ns] for name, (count, ns) in CALLS.items()},
            "kernels": [8, 160],
            "kernels_with_api_row": 8,
            COPIES: [[1, 0, 2, 4, 256, 160]],
            RANGES: {":step": [4, 4000, 8, 12, 1240, 320]},
            "gpu_ops": 12,
        },
    ),
    "no kinds of memory": (
        program(HERE),
        {"drop": {"CUPTI_ACTIVITY_KIND_MEMCPY": ("srcKind", "dstKind")}},
        {
            "cuda_api": CALLS,
            "kernels": [4, 80],
            COPIES: [[1, -1, -1, 2, 128, 80]],
            RANGES: {":step": [2, 2000, 4, 6, 620, 160]},
        },
    ),
    "no kernels": (
        program(HERE),
        {"without": ["CUPTI_ACTIVITY_KIND_KERNEL"]},
        {
            "cuda_api": CALLS,
            COPIES: [[1, 0, 2, 2, 128, 80]],
            RANGES: {":step": [2, 2000, None, 2, 80, 80]},
            "gpu_ops": 2,
        },
    ),
    "no calls": (
        program(HERE),
        {"without": ["CUPTI_ACTIVITY_KIND_RUNTIME"]},
        {
            "kernels": [4, 80],
            "kernels_with_api_row": 0,
            COPIES: [[1, 0, 2, 2, 128, 80]],
            RANGES: {":step": [2, 2000, None, None, None, None]},
            "gpu_ops_without_api_row": 6,
            "gpu_ops_inside_some_range": 0,
        },
    ),
    "nothing of a GPU": (
        program(HERE),
        {"without": [table for table in SCHEMA if table.startswith("CUPTI_")]},
        {RANGES: {":step": [2, 2000, None, None, None, None]}, "gpu_ops": 0},
    ),
}


@pytest.mark.parametrize("name", SMALL)
def test_every_number_in_small(tmp_path: Path, name: str) -> None:
    made, options, golden = SMALL[name]
    check(vlbench.nsys.load(made.save(tmp_path / "small.sqlite", **options)), golden | OF_ALL)


def check(capture: Capture, golden: dict[str, Any]) -> None:
    """All that `golden` says."""
    api = vlbench.nsys.api_table(capture).set_index("name")
    assert {name: [row["count"], row["ns"]] for name, row in api.iterrows()} == golden.get("cuda_api", {})

    kernels = capture.gpu_ops[capture.gpu_ops["kind"] == "kernel"]
    assert [len(kernels), int((kernels["end"] - kernels["start"]).sum())] == golden.get("kernels", [0, 0])
    if "kernels_with_api_row" in golden:
        assert int((kernels["api"] >= 0).sum()) == golden["kernels_with_api_row"]

    copies = vlbench.nsys.memcpy_table(capture)
    columns = ["direction", "src", "dst", "count", "bytes", "ns"]
    kinds = MEMORY_KINDS | {-1: NOT_RECORDED}
    expected = {(DIRECTIONS[a], kinds[b], kinds[c], *rest) for a, b, c, *rest in golden.get(COPIES, [])}
    assert set(copies[columns].itertuples(index=False, name=None)) == expected

    seen = vlbench.nsys.coverage(capture)
    for ours, theirs in [
        ("gpu_ops", "gpu_ops"),
        ("no_api_row", "gpu_ops_without_api_row"),
        ("in_ranges", "gpu_ops_inside_some_range"),
    ]:
        if theirs in golden:
            assert seen[ours] == golden[theirs], ours
    reasons = ("in_ranges", "no_api_row", "thread_without_ranges", "outside_ranges")
    assert seen["gpu_ops"] == sum(seen[reason] for reason in reasons)

    ranges = vlbench.nsys.per_range(capture)
    columns = ["instances", "range_ns", "kernels", "gpu_ops", "span_ns", "busy_ns"]
    got = {
        str(name): [None if pd.isna(value) else int(value) for value in row] for name, row in ranges[columns].iterrows()
    }
    assert got == golden.get(RANGES, {})

    assert golden["nsys"] in capture.version
    assert golden["schema"] in capture.version


def test_iterations_of_a_steady_program_have_equal_counts(public_captures: Path) -> None:
    capture = vlbench.nsys.load(public_captures / "captures" / "cupy_power_iteration.sqlite")
    stable = vlbench.nsys.stability(vlbench.nsys.per_iteration(capture, r":Step.*"), skip=0)
    launches = stable.loc["launches"]
    assert (launches["usual"], launches["same"], launches["of"]) == (85, 43, 44)
    assert list(launches["others"]) == [43]  # the last one is shorter
    assert (stable.loc["hidden_syncs", "usual"], stable.loc["hidden_syncs", "same"]) == (2, 44)


def test_hidden_syncs_outweigh_explicit_ones(public_captures: Path) -> None:
    capture = vlbench.nsys.load(public_captures / "captures" / "cupy_power_iteration.sqlite")
    table = vlbench.nsys.sync_table(capture).set_index("class")
    hidden, explicit = table.loc["hidden sync"], table.loc["explicit sync"]
    assert (hidden["count"], hidden["ns"], hidden["gpu_ns"]) == (89, 1033980289, 322040)
    assert hidden["copy"] == "DtoH device>pageable"
    assert (explicit["count"], explicit["ns"]) == (89, 335519)


def test_pinned_copies_are_not_called_pageable(public_captures: Path) -> None:
    capture = vlbench.nsys.load(public_captures / "captures" / "pinned_copies_cut.sqlite")
    hidden = vlbench.nsys.sync_table(capture).query("`class` == 'hidden sync'")
    assert hidden["count"].sum() == 4


def test_forwards_are_found_without_their_ranges(public_captures: Path) -> None:
    """The program ran 15 forwards of 12 layers; its ranges are left out here."""
    capture = vlbench.nsys.load(public_captures / "captures" / "pytorch_transformer.sqlite")
    capture.ranges = capture.ranges.iloc[:0]
    found = vlbench.nsys.find_forwards(capture)
    assert found is not None
    assert len(found.ranges) == 15
    assert "found by pattern" in found.how
    assert "repeated 12 times" in found.how
    assert set(found.projected["kernels"]) == {684}  # 12 blocks of 57 of the 692 kernels


def test_the_pair_differs(public_captures: Path) -> None:
    before, after = (
        vlbench.nsys.load(public_captures / "captures" / f"two_processes_{side}.sqlite") for side in ("before", "after")
    )
    found = vlbench.nsys.diff(before, after)
    assert judge_difference(found, "before", "after").exit_code == 6
    assert found.appeared
    assert found.vanished
    assert not found.obstacles
    whole = vlbench.nsys.load(public_captures / "captures" / "cupy_power_iteration.sqlite")
    for capture, code, lost in ((whole, 0, ""), (before, 6, "the last 20 launches have no GPU operation")):
        same = vlbench.nsys.diff(capture, capture)
        judged = judge_difference(same, "before", "before")
        assert judged.exit_code == code
        assert lost in judged.rows[0].reason
        assert (len(same.counters), same.appeared, same.vanished) == (0, (), ())


def test_ids_joined_without_the_process_would_add_strangers(public_captures: Path) -> None:
    capture = vlbench.nsys.load(public_captures / "captures" / "two_processes_before.sqlite")
    kernels = capture.gpu_ops[capture.gpu_ops["kind"] == "kernel"]
    careless = pd.merge(kernels[["corr"]], capture.api[["corr"]], on="corr")
    assert len(careless) == 4280
    assert (kernels["api"] >= 0).sum() == 3986
