"""The same torch gives the same counts, byte for byte, whatever the machine, the shell and the installation."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.trial.plans import ROOT, python_path

TOYS = "tests.counting.toy_towers"
COMMAND = [
    *("-m", "vlbench", "count", "--json", "--grid", "1x10x6", "--grid", "2x18x14"),
    *("--tower", "qwen2.5-vl-tiny", "--with", "best", "--tower", "their_stack.tower:Theirs"),
    *("--tower", f"{TOYS}:HostIndex", "--tower", f"{TOYS}:ReadsFloats", "--tower", f"{TOYS}:Raises"),
]

THEIRS = """
import torch
from torch import nn


class Theirs(nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = nn.Linear(1176, 32)

    def forward(self, pixels, grid_thw):
        if torch.cuda.get_device_capability() < (8, 0):
            raise RuntimeError("too old")
        order = set(grid_thw.tolist()[0])
        return self.proj(pixels).view(-1, 4, 32).mean(1)
"""

OTHER_MACHINE = """
import multiprocessing, os, platform, sys

os.cpu_count = os.process_cpu_count = multiprocessing.cpu_count = lambda: 96
platform.node = platform.processor = lambda: "another"
platform.python_version = lambda: "3.11.99"
sys.modules["transformers"] = sys.modules["triton"] = None  # not installed there
"""

OTHER_IMPORTS = """
import sys

sys.path.reverse()
import vlbench.counting_device.device
import numpy, vlbench.implementations.optimized, vlbench.cli

torch.set_num_threads(2)
torch.manual_seed(7)
"""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What `vlbench count --json` says here and in other places, without how long it took and how much it needed."""
    first, second = tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("elsewhere") / "with a space"
    for home in (first, second):
        (home / "their_stack").mkdir(parents=True)
        (home / "their_stack" / "tower.py").write_text(THEIRS)
    for name, text in {"machine": OTHER_MACHINE, "imports": OTHER_IMPORTS}.items():
        (second / name).mkdir()
        (second / name / "sitecustomize.py").write_text(text)
    (second / "installed").symlink_to(Path(torch.__file__).parents[1])
    (second / "checkout").symlink_to(ROOT)
    shell = {"PYTHONHASHSEED": "7", "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Tokyo", "PYTHONOPTIMIZE": "1", "COLUMNS": "40"}
    processor = {"ATEN_CPU_CAPABILITY": "default", "DNNL_MAX_CPU_ISA": "SSE41", "OMP_NUM_THREADS": "3"}
    return {
        "here": _count(first, python_path(first), {"PYTHONHASHSEED": "1"}),
        "shell": _count(ROOT / "tests" / "counting", python_path(first), shell),
        "machine": _count(second, python_path(second, second / "machine"), processor),
        "installation": _count(
            second / "their_stack",
            os.pathsep.join(str(second / n) for n in ("imports", "", "checkout", "installed")),
            {},
        ),
    }


def _count(directory: Path, path: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, *COMMAND],
        cwd=directory,
        env={**os.environ, **environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 6, done.stderr  # two of the towers cannot be counted, and say so
    return re.sub(r'^ "(seconds|peak_host_bytes)": .*\n', "", done.stdout, flags=re.MULTILINE)


@pytest.mark.parametrize("place", ["shell", "machine", "installation"])
def test_counts_are_the_same(outputs: dict[str, str], place: str) -> None:
    assert outputs[place].splitlines() == outputs["here"].splitlines()


def test_they_hold_lines_questions_and_failures(outputs: dict[str, str]) -> None:
    """Without which they would prove little."""
    for words in (
        '"where": "their_stack/tower.py:14: order = set(grid_thw.tolist()[0])"',
        '"where": "their_stack/tower.py:12: if torch.cuda.get_device_capability() < (8, 0):"',
        '"where": "vlbench/implementations/',
        "tests/counting/toy_towers.py:",
        "RuntimeError at tests/counting/toy_towers.py:",
        "needs a value that follows from floats",
    ):
        assert words in outputs["here"]
