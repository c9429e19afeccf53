"""What a capture cannot say is named, and is no zero."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import vlbench.nsys
from tests.export.rendered import shown
from vlbench.comparing.captured import judge_difference
from vlbench.errors import UsageError
from vlbench.export.captured import report_parts
from vlbench.export.sheet import Words
from vlbench.judging.exit_codes import ExitCode
from vlbench.nsys.activity import sync_table
from vlbench.nsys.advice import is_of_rocm
from vlbench.nsys.frames import Capture
from vlbench.nsys.measured import losses, losses_or_doubt, unknown_calls, unmeasured
from vlbench.nsys.report import build

from .synthetic import Database, thread
from .test_kineto import Event, annotation, api, gpu

MAIN = thread(100, 1)


def rocm(folder: Path, name: str, *, syncs: int = 0, strange: str = "", sizes: bool = True) -> Capture:
    """A forward on ROCm: no bytes on the copies' rows, sizes on the calls', `syncs` waits."""
    events: list[Event] = [annotation(0, 900, "vision_tower")]
    names = ["hipLaunchKernel"] * 10 + ["hipExtModuleLaunchKernel"] + ["hipMemcpyWithStream"] * 4
    for corr, called in enumerate(names):
        call = api(10 + 20 * corr, 5, called, corr)
        is_copy = "Memcpy" in called
        call["args"] |= {"size": "2560", "kind": "1"} if is_copy and sizes else {}
        kind, of = ("gpu_memcpy", "Memcpy HtoD (Host -> Device)") if is_copy else ("kernel", "flash")
        events += [call, gpu(kind, 16 + 20 * corr, 3, of, corr)]
    events += [api(500 + 20 * each, 5, "hipStreamSynchronize", 100 + each) for each in range(syncs)]
    events += [api(800, 5, strange, 200)] if strange else []
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"deviceProperties": [{"name": "AMD Instinct MI300X"}], "traceEvents": events}))
    return vlbench.nsys.load(path)


def test_hip_calls_count(tmp_path: Path) -> None:
    row = vlbench.nsys.per_range(rocm(tmp_path, "a", syncs=3)).loc[":vision_tower"]
    counted = ("launches", "syncs", "blocking_copies", "bytes[HtoD host>device]")
    assert [row[name] for name in counted] == [11, 3, 4, 4 * 2560]
    found = vlbench.nsys.diff(rocm(tmp_path, "b"), rocm(tmp_path, "c", syncs=3))
    assert judge_difference(found, "b", "c").exit_code == ExitCode.REGRESSED


def test_sizes_that_nobody_tells_are_no_zero(tmp_path: Path) -> None:
    capture = rocm(tmp_path, "a", sizes=False)
    assert "bytes" in unmeasured(capture)
    assert pd.isna(vlbench.nsys.memcpy_table(capture)["bytes"].item())
    assert pd.isna(vlbench.nsys.per_range(capture).loc[":vision_tower", "bytes[HtoD host>device]"])


@pytest.mark.parametrize("name", ["hipStreamFooBar", "cudaStreamSynchroniseAll", "INVALID", "string 7"])
def test_a_call_that_no_table_knows_makes_the_counters_not_measured(tmp_path: Path, name: str) -> None:
    strange = rocm(tmp_path, "a", strange=name)
    assert unknown_calls(strange) == [name]
    assert name in unmeasured(strange)["syncs"]
    assert pd.isna(vlbench.nsys.per_range(strange).loc[":vision_tower", "launches"])
    judged = judge_difference(vlbench.nsys.diff(strange, strange), "a", "a")
    assert judged.exit_code == ExitCode.MISSING
    assert name in judged.rows[0].reason


def whole() -> Database:
    made = Database()
    made.range(0, 1000, "forward", MAIN)
    for corr in range(20):
        made.launch(10 + 20 * corr, MAIN, corr)
    return made


def test_rows_are_held_against_what_the_profiler_says_it_collected(tmp_path: Path) -> None:
    made = whole()
    for what, count in (("CUDA", 40), ("NVTX", 1)):
        made.add("DIAGNOSTIC_EVENT", severity=1, text=f"Number of {what} events collected: \t{count}.")
    capture = vlbench.nsys.load(made.save(tmp_path / "whole.sqlite"))
    assert losses_or_doubt(capture) == []
    del made.rows["CUPTI_ACTIVITY_KIND_KERNEL"][10:], made.rows["NVTX_EVENTS"][:]
    cut = losses(vlbench.nsys.load(made.save(tmp_path / "cut.sqlite")))
    assert cut[0] == "nsys collected 40 CUDA events, and the file has 30"
    assert cut[1] == "nsys collected 1 NVTX event, and the file has 0"
    assert cut[2] == "no GPU operation for 10 of 20 launches"


@pytest.mark.parametrize(("table", "left"), [("KERNEL", 10), ("RUNTIME", 10), ("KERNEL", 19)])
def test_lost_rows_lower_the_verdict(tmp_path: Path, table: str, left: int) -> None:
    before, made = vlbench.nsys.load(whole().save(tmp_path / "before.sqlite")), whole()
    assert "not checked" in losses_or_doubt(before)[0]
    del made.rows[f"CUPTI_ACTIVITY_KIND_{table}"][left:]
    cut = vlbench.nsys.load(made.save(tmp_path / "cut.sqlite"))
    assert f"{20 - left} of 20" in losses(cut)[0]
    assert judge_difference(vlbench.nsys.diff(before, cut), "before", "cut").exit_code == ExitCode.MISSING


def test_launches_that_had_not_run_at_the_end_are_no_fewer_kernels(tmp_path: Path) -> None:
    """One of 200 launches is few enough to be lost anywhere, but at the end it is what the capture was cut at."""
    made = Database()
    made.range(0, 10_000, "forward", MAIN)
    for corr in range(200):
        made.launch(10 + 20 * corr, MAIN, corr)
    before = vlbench.nsys.load(made.save(tmp_path / "before.sqlite"))
    lost = made.rows["CUPTI_ACTIVITY_KIND_KERNEL"].pop(100)
    assert losses(vlbench.nsys.load(made.save(tmp_path / "amid.sqlite"))) == []
    made.rows["CUPTI_ACTIVITY_KIND_KERNEL"].insert(100, lost)
    made.rows["CUPTI_ACTIVITY_KIND_KERNEL"].pop()
    cut = vlbench.nsys.load(made.save(tmp_path / "cut.sqlite"))
    assert losses(cut) == ["the last launch has no GPU operation: the capture ended first"]
    judged = judge_difference(vlbench.nsys.diff(before, cut), "before", "cut")
    assert judged.exit_code == ExitCode.MISSING
    assert "the capture ended first" in judged.rows[0].reason


@pytest.mark.parametrize("ends", [(-1,), (2000,), (1999, 2000), (None,), (2001,)])
def test_a_range_that_does_not_end_after_it_begins_holds_nothing(tmp_path: Path, ends: tuple[int | None, ...]) -> None:
    made = whole()
    for end in ends:
        made.range(2000, end, "forward", MAIN)
    found = losses(vlbench.nsys.load(made.save(tmp_path / "a.sqlite")))
    said = f"{len(ends)} range{'s' * (len(ends) > 1)} of no length or less, in which nothing can lie"
    assert found == ([] if ends[0] in (None, 2001) else [said])


def test_a_range_that_ends_when_no_clock_shows_is_refused(tmp_path: Path) -> None:
    made = whole()
    made.range(2000, 2**63 - 1, "forward", MAIN)
    with pytest.raises(UsageError, match="a time that no clock"):
        vlbench.nsys.load(made.save(tmp_path / "a.sqlite"))


@pytest.mark.parametrize("what", ["CUDA call", "GPU operation"])
def test_what_ends_before_it_begins_is_damage(tmp_path: Path, what: str) -> None:
    made = whole()
    if what == "CUDA call":
        made.call(500, 400, "cudaStreamSynchronize", MAIN, 30)
    else:
        made.copy(500, 400, MAIN, 30)
    with pytest.raises(UsageError, match=f"{what} ends before it begins"):
        vlbench.nsys.load(made.save(tmp_path / "a.sqlite"))


def test_a_size_that_is_no_whole_number_is_not_cut_down_to_one(tmp_path: Path) -> None:
    made = whole()
    made.copy(500, 510, MAIN, 30, size=0.5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"MEMCPY holds a value that is not an integer in one of .*bytes"):
        vlbench.nsys.load(made.save(tmp_path / "a.sqlite"))


def test_real_captures_are_whole_but_for_those_that_were_cut(public_captures: Path) -> None:
    found = {
        path.stem: losses(vlbench.nsys.load(path)) for path in sorted((public_captures / "captures").glob("*.sqlite"))
    }
    pair = ["two_processes_after", "two_processes_before"]
    assert [name for name, lost in found.items() if lost] == ["pinned_copies_cut", *pair]
    assert found[pair[1]] == ["the last 20 launches have no GPU operation: the capture ended first"]
    assert "no API call for 2276 of 4368 GPU operations" in found["pinned_copies_cut"][0]


def test_the_advice_says_that_it_does_not_know_rocm(tmp_path: Path) -> None:
    def said(capture: Capture) -> str:
        return " ".join(part.text for part in report_parts(build(capture), 0) if isinstance(part, Words))

    assert "The advice table knows CUDA's names alone" in said(rocm(tmp_path, "a", syncs=12))
    assert is_of_rocm(rocm(tmp_path, "b"))


def without(folder: Path, *categories: str) -> Capture:
    """A trace from which the events of some kinds are gone."""
    rocm(folder, "whole")
    content = json.loads((folder / "whole.json").read_text())
    content["traceEvents"] = [each for each in content["traceEvents"] if each["cat"] not in categories]
    (folder / "cut.json").write_text(json.dumps(content))
    return vlbench.nsys.load(folder / "cut.json")


def test_times_of_calls_that_nobody_recorded_are_no_zero(tmp_path: Path) -> None:
    nothing = without(tmp_path, "cuda_runtime", "kernel", "gpu_memcpy")
    row = vlbench.nsys.per_range(nothing).loc[":vision_tower"]
    assert row[["api_ns", "api_calls", "syncs", "busy_ns"]].isna().all()
    assert "0 ns" not in shown(report_parts(build(nothing), 0))


def test_whether_copies_without_a_row_stalled_is_not_known(tmp_path: Path) -> None:
    (row,) = sync_table(without(tmp_path, "kernel", "gpu_memcpy")).to_dict("records")
    assert (row["class"], row["count"]) == ("blocking copy", 4)
    assert pd.isna(row["stalled"])
    assert pd.isna(row["gpu_ns"])
    (row,) = sync_table(rocm(tmp_path, "whole")).to_dict("records")
    assert row["gpu_ns"] == 4 * 3000
