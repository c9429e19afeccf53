"""Small plans to measure, and an environment in which the measuring process knows flags that misbehave."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import vlbench
from vlbench.matrix.plan import Plan
from vlbench.towers.models import find_model
from vlbench.towers.variants import Variant, parse_variant, unique
from vlbench.trial.job import Job, job_of
from vlbench.workload.scenario import Item, ScenarioPoint

MIN_ROUNDS = 6
"""The fewest that give an interval of 95 %, as plans here ask for."""

MODEL = "qwen2.5-vl-tiny"
ROOT = Path(vlbench.__file__).parents[1]
MISBEHAVING = Path(__file__).parent / "misbehaving"

POINT = ScenarioPoint(scenario="small", source="noise", item=(Item(grid="4x6", count=2),))

SCENARIO_FILE = """
title = "Two tiny images"
stands_for = "nothing but a quick test"
source = "noise"
[[item]]
grid = "4x6"
count = 2
"""
"""The same as a file."""

ONE_PICTURE = """
title = "One small picture"
stands_for = "nothing but a quick test"
source = "noise"
[[item]]
grid = "4x4"
"""


def variant(name: str) -> Variant:
    """A variant by name; a name that vlbench does not know is a flag that only the measuring process knows."""
    if (MISBEHAVING / "sitecustomize.py").read_text().count(f'@_misbehaves("{name}")'):
        return Variant(name, (name,))
    return parse_variant(name, find_model(MODEL), "cpu")


def plan(*names: str, **fields: Any) -> Plan:
    variants = unique(variant(name) for name in names)
    given: dict[str, Any] = {
        "point": POINT,
        "model": MODEL,
        "dtype": "float32",
        "device": "cpu",
        "variants": variants,
    } | fields
    return Plan(**given)


def job(*names: str, seconds: float = 0.0, **fields: Any) -> Job:
    """One trial over all variants of such a plan."""
    made = plan(*names, **fields)
    return job_of(made, 0, seconds)


def work_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it the working directory, with a tiny scenario, `small.toml`; child processes find vlbench from there."""
    (folder / "small.toml").write_text(SCENARIO_FILE)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", python_path())


def python_path(*first: Path) -> str:
    """A PYTHONPATH for child processes, wherever they are started."""
    before = filter(None, [os.environ.get("PYTHONPATH")])
    return os.pathsep.join([*map(str, first), str(ROOT), *before])
