from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.cli.conftest import Vlbench
from tests.trial.plans import MISBEHAVING, job, python_path
from vlbench.record.schema import Counts
from vlbench.trial.job import Checked, Event
from vlbench.trial.worker import run_job

SMALL = ("profile", "--device", "cpu", "--scenario", "small.toml", "--forwards", 3)


def test_stages_have_times_and_counts_that_add_up(vlbench: Vlbench) -> None:
    found = vlbench(*SMALL, "--json", "--variant", "baseline").json()
    assert found["accuracy"]["passed"]
    stages = found["stages"]
    for what in ("aten_operations", "attention_calls"):
        assert sum(stage[what]["own"] for stage in stages.values()) == stages["forward"][what]["total"] > 0
    times = [stage["host_seconds"] for stage in stages.values()]
    assert all(0 < time["own"] <= time["total"] for time in times)
    assert stages["attention"]["host_seconds"]["visits"] == stages["mlp"]["host_seconds"]["visits"] == 4
    assert stages["attention"]["attention_calls"]["own"] == stages["forward"]["attention_calls"]["total"]
    assert {stage["gpu_seconds"] for stage in stages.values()} == {None}


def test_the_counts_are_those_of_a_run(vlbench: Vlbench) -> None:
    events: list[Event] = []
    run_job(job("exact"), events.append)
    (counts,) = [event.counts for event in events if isinstance(event, Checked) and event.variant == "exact"]
    forward = vlbench(*SMALL, "--variant", "exact", "--json").json()["stages"]["forward"]
    found = Counts(
        aten_operations=int(forward["aten_operations"]["total"]),
        attention_calls=int(forward["attention_calls"]["total"]),
    )
    assert found == counts


def test_a_tower_is_profiled_beside_the_reference_tower_of_its_model(vlbench: Vlbench) -> None:
    found = vlbench(*SMALL, "--tower", "qwen2.5-vl-tiny+exact", "--json").json()
    assert found["variant"] == "qwen2.5-vl-tiny+exact"
    assert found["accuracy"]["passed"]
    assert "--tower" in vlbench(*SMALL, "--tower", "tests.towers.toys:Toy", "--variant", "exact").sentence


def test_blocks_are_shown_on_request(vlbench: Vlbench) -> None:
    out = vlbench(*SMALL, "--blocks").out
    assert all(f"block[{block}].{part} " in out for block in range(4) for part in ("attention", "mlp"))
    assert "GPU: not measured." in out


def test_pyinstrument_prints_the_tree_and_says_where_the_files_are(vlbench: Vlbench, folder: Path) -> None:
    ended = vlbench(*SMALL[:-1], 30, "--tool", "pyinstrument", "--out", "deep/er")
    assert "OptimizedVisionTower.forward" in ended.out
    for name in ("host.html", "host.speedscope.json"):
        assert f"deep/er/{name}" in ended.out
        assert (folder / "deep/er" / name).stat().st_size > 1000


def test_torch_writes_a_trace_that_nsys_report_reads(vlbench: Vlbench, folder: Path) -> None:
    found = vlbench(*SMALL, "--tool", "torch", "--json").json()["torch"]
    assert found["files"] == ["vlbench-profile/trace.json.gz"]
    assert found["report"] is None
    instances = {entry["range"]: entry["instances"] for entry in found["ranges"]}
    assert instances["iteration"] == instances["forward"] == instances["block[3].mlp"] == 3
    report = vlbench("nsys", "report", found["files"][0], "--json").json()
    assert {row["range"].removeprefix(":") for row in report["ranges"]} == instances.keys()
    assert "GPU: not measured." in vlbench(*SMALL, "--tool", "torch").out


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_has_times_by_stage_and_a_report(vlbench: Vlbench) -> None:
    on_gpu = ("profile", "--device", "cuda", "--model", "qwen2.5-vl-tiny", "--scenario", "small.toml", "--json")
    stages = vlbench(*on_gpu).json()["stages"]
    times = [stage["gpu_seconds"] for stage in stages.values()]
    whole = stages["forward"]["gpu_seconds"]["total"]
    assert all(0 < time["own"] <= time["total"] <= 1.01 * whole for time in times)
    report = vlbench(*on_gpu, "--tool", "torch").json()["torch"]["report"]
    assert report["coverage"]["in_ranges"] > 0
    assert len(report["encoder"]["forwards"]) == 20


def test_a_wrong_variant_is_not_profiled(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vlbench", *map(str, SMALL), "--variant", "wrong-cos", "--tool", "torch"],
        env=os.environ | {"PYTHONPATH": python_path(MISBEHAVING)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (5, "")
    assert "error: wrong-cos failed its accuracy check and is not profiled: not bit-exact in fp32" in done.stderr
    assert not (folder / "vlbench-profile").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--tool", "perf"), "--tool: 'perf' is not one of stages, pyinstrument, torch; choose one of them"),
        (("--tool", "torch", "--out", "small.toml"), "--out small.toml: small.toml is in the way, for it is no folder; "
         "move it or choose another"),
        (("--tool", "torch", "--out", "small.toml/in"), "--out small.toml/in: small.toml is in the way, for it is no "
         "folder; move it or choose another"),
        (("--scenario", "serving-mix"), "--scenario serving-mix has the points requests=1, requests=4, requests=16; "
         "choose one with --point"),
        (("--scenario", "serving-mix", "--point", "requests=2"),
         "--point: serving-mix has no point 'requests=2'; it has 'requests=1', 'requests=4', 'requests=16'"),
    ],
    ids=["tool", "out", "inside", "sweep", "point"],
)  # fmt: skip
def test_what_the_user_has_to_mend(vlbench: Vlbench, arguments: tuple[str, ...], sentence: str) -> None:
    assert vlbench("profile", "--device", "cpu", *arguments).sentence == sentence


def test_a_folder_without_a_checkpoint_is_refused(vlbench: Vlbench, folder: Path) -> None:
    assert str(folder) in vlbench(*SMALL, "--weights", folder).sentence
