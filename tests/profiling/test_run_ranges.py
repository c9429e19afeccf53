"""What a tool sees of a real `vlbench run`: ranges of the measuring process, which is a child of the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.trial.plans import MISBEHAVING, SCENARIO_FILE, job, python_path
from vlbench.nsys.child import VARIABLE, read_sidecar
from vlbench.profiling.nvtx import DOMAIN
from vlbench.record.files import read_results

pytestmark = pytest.mark.slow

COMMAND = ("run", "--scenario", "small.toml", "--device", "cpu", "--variant", "host-seqlens", "--budget", "2",
           "--no-card", "--out", "run.json")  # fmt: skip


@dataclass
class Range:
    name: str
    inner: list[Range] = field(default_factory=list)

    def everything(self) -> list[str]:
        return [self.name, *(name for one in self.inner for name in one.everything())]


def ranges_of(lines: list[str]) -> Range:
    """The ranges as a tree; fails where a pop has no push, a push no pop, or a domain is not ours."""
    root = Range("")
    opened = [root]
    for line in lines:
        what, domain, *name = line.split(" ", 2)
        assert domain == DOMAIN
        if what == "push":
            opened.append(Range(*name))
            opened[-2].inner.append(opened[-1])
        elif what == "pop":
            opened.pop()
    assert opened == [root]
    return root


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("run")
    (made / "small.toml").write_text(SCENARIO_FILE)
    return made


@pytest.fixture(scope="module")
def seen(tool: Path, folder: Path) -> Range:
    path = python_path(MISBEHAVING)  # with more time than the budget, however busy the machine is
    env = {"PYTHONPATH": path, "NVTX_INJECTION64_PATH": str(tool), "TOOL_OUT": str(folder / "seen")}
    subprocess.run(
        [sys.executable, "-m", "vlbench", *COMMAND],
        cwd=folder,
        env=os.environ | env | {VARIABLE: str(folder / "sidecar")},
        check=True,
        capture_output=True,
    )
    return ranges_of((folder / "seen").read_text().splitlines())


def test_each_timed_call_is_an_iteration_around_one_forward(seen: Range, folder: Path) -> None:
    trials = read_results(folder / "run.json").groups[0].trials  # what stands out is measured in a second one
    timings = [timing for trial in trials for variant in trial.variants for timing in variant.timings.values()]
    timed = sum(len(calls) for timing in timings for calls in timing.every_call)  # with every instance of the reference
    iterations = [one for one in seen.inner if one.name == "iteration"]
    assert len(iterations) == timed >= 12
    assert [[inner.name for inner in one.inner] for one in iterations] == [["forward"]] * timed


def test_checks_warm_up_and_counts_are_not_iterations(seen: Range) -> None:
    names = Counter(one.name for one in seen.inner)
    assert names.keys() == {"preprocess", "iteration", "forward"}
    assert names["forward"] > 10


def test_a_forward_holds_the_stages_of_the_tower(seen: Range) -> None:
    last = [one for one in seen.inner if one.name == "iteration"][-1].inner[0]
    assert last.inner[0].name == "plan"
    stages = [one.name for one in last.inner]
    blocks = [f"block[{block}].{part}" for block in range(4) for part in ("attention", "mlp")]
    assert [name for name in stages if name.startswith("block")] == blocks
    assert {"patch_embed", "merger"} <= set(stages)
    assert "rope" in last.everything()


def test_the_window_says_that_there_is_no_gpu_to_capture(seen: Range, folder: Path) -> None:
    import torch

    said = read_sidecar(folder / "sidecar")
    assert (said.started, said.code) == (True, 0)
    if not torch.cuda.is_available():
        assert (said.windows, said.no_cuda) == (0, True)


def test_nvtx_disable_silences_the_measuring_process(tool: Path, folder: Path) -> None:
    seen = folder / "silent"
    env = {"PYTHONPATH": python_path(), "NVTX_INJECTION64_PATH": str(tool), "TOOL_OUT": str(seen), "NVTX_DISABLE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "vlbench.trial.worker"],
        input=job().model_dump_json(),
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"passed":true' in done.stdout  # forwards there were
    assert not seen.exists()  # the tool is not even loaded


def test_the_cost_of_a_stage_is_measured_with_the_tool_that_is_there(tool: Path, folder: Path) -> None:
    command = ("profile", "--overhead", "--scenario", "small.toml", "--device", "cpu", "--forwards", "1", "--json")
    env = os.environ | {"PYTHONPATH": python_path(), "TOOL_OUT": str(folder / "cost")}
    done = subprocess.run(
        [sys.executable, "-m", "vlbench", *command],
        cwd=folder,
        env=env | {"NVTX_INJECTION64_PATH": str(tool)},
        capture_output=True,
        check=True,
    )
    costs = json.loads(done.stdout)["overhead"]["seconds_per_stage"]
    assert "NVTX, with its tool" in costs
    assert (folder / "cost").read_text().count(f"push {DOMAIN} stage\n") > 1000
