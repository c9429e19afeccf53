"""A repository with towers of its own, for the gate to look at."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.repositories import begin_here
from vlbench.gating.manifest import enlist
from vlbench.record.baseline import Baseline
from vlbench.record.baseline_files import read_baseline, write_baseline

TOWERS = """
import os
from torch import nn


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = nn.Linear(32, 32)

    def forward(self, x, lengths):
        return x + self.proj(x)  # LAYER


class Tower(nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = nn.Linear(1176, 32)
        self.layers = nn.ModuleList(Layer() for _ in range(3))

    def forward(self, pixels, grid_thw):
        x, lengths = self.proj(pixels), grid_thw.prod(1)
        for layer in self.layers:
            x = layer(x, lengths)
        return x.view(-1, 4, 32).mean(1)


class Renamed(Tower):
    pass


class Crashing(Tower):
    pass
"""
TOWER_NAMES = ("Tower", "Renamed", "Crashing")
LAYER = "return x + self.proj(x)  # LAYER"
SYNC = "return x[: lengths.sum().item()] + self.proj(x)  # LAYER"
FILE = Path("results/baselines/toy.json")


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def commit() -> None:
    git("add", "--all", ":/")
    git("commit", "--quiet", "-m", "more")


def head() -> str:
    return git("rev-parse", "HEAD")


def make_repository(folder: Path) -> None:
    """towers.py, committed by Ada; `folder` is the current one."""
    begin_here()
    (folder / ".gitignore").write_text("__pycache__\n")
    (folder / "towers.py").write_text(TOWERS)
    commit()


def write_towers(old: str = "", new: str = "") -> int:
    """towers.py anew, with `old` replaced; returns the number of the line in the loop."""
    text = TOWERS.replace(old, new) if old else TOWERS
    assert not old or text != TOWERS
    Path("towers.py").write_text(text)
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.endswith("# LAYER"))


def store(baseline: Baseline, path: Path = FILE) -> None:
    """As `vlbench baseline` writes it."""
    write_baseline(baseline.sealed(), path)
    enlist(path, baseline)


def keep_one_tower() -> None:
    """A baseline of one tower is gated sooner."""
    stored = read_baseline(FILE)
    store(stored.model_copy(update={"counted": stored.counted[:1]}))
    commit()


def edit(**fields: object) -> None:
    """Edit the file by hand."""
    FILE.write_text(json.dumps(json.loads(FILE.read_text()) | fields))
