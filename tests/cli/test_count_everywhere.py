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

pytestmark = pytest.mark.slow

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
def here(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `vlbench count --json` says, without how long it took and how much it needed."""
    home = _with_a_tower(tmp_path_factory.mktemp("here"))
    return _count(home, python_path(home), {"PYTHONHASHSEED": "1"})


def _with_a_tower(home: Path) -> Path:
    (home / "their_stack").mkdir(parents=True)
    (home / "their_stack" / "tower.py").write_text(THEIRS)
    return home


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
    return re.sub(r'^ "(checksum|seconds|peak_host_bytes)": .*\n', "", done.stdout, flags=re.MULTILINE)


def test_counts_are_the_same_elsewhere(here: str, tmp_path: Path) -> None:
    """On another machine, in another shell and folder, with another installation: all that could matter at once."""
    home = _with_a_tower(tmp_path / "with a space")
    (home / "start").mkdir()
    (home / "start" / "sitecustomize.py").write_text(OTHER_MACHINE + OTHER_IMPORTS)
    (home / "installed").symlink_to(Path(torch.__file__).parents[1])
    (home / "checkout").symlink_to(ROOT)
    shell = {"PYTHONHASHSEED": "7", "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Tokyo", "COLUMNS": "40"}
    processor = {"ATEN_CPU_CAPABILITY": "default", "DNNL_MAX_CPU_ISA": "SSE41", "OMP_NUM_THREADS": "3"}
    path = os.pathsep.join(str(home / name) for name in ("start", "", "checkout", "installed"))
    assert _count(home / "their_stack", path, shell | processor).splitlines() == here.splitlines()


def test_counts_are_the_same_from_within_a_package(here: str, tmp_path: Path) -> None:
    path = python_path(_with_a_tower(tmp_path))
    assert _count(ROOT / "tests" / "counting", path, {}).splitlines() == here.splitlines()


def test_they_hold_lines_questions_and_failures(here: str) -> None:
    """Without which they would prove little."""
    for words in (
        '"where": "their_stack/tower.py:14: order = set(grid_thw.tolist()[0])"',
        '"where": "their_stack/tower.py:12: if torch.cuda.get_device_capability() < (8, 0):"',
        '"where": "vlbench/implementations/',
        "tests/counting/toy_towers.py:",
        "RuntimeError at tests/counting/toy_towers.py:",
        '"certain": false',
    ):
        assert words in here
