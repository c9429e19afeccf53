"""Copies of the package, one for each regression, each an import root of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import vlbench
from tests.gating.regressions.listing import Regression

PACKAGE = Path(vlbench.__file__).parent / "implementations"
SERVED = Path(__file__).with_name("served.py")
UNTOUCHED = "untouched"


def copy_package(folder: Path, name: str, regression: Regression | None = None) -> None:
    """A copy of the package in `folder` under `name`, with the team's tower in it, and with the regression if any."""
    goal = folder / name
    shutil.copytree(PACKAGE, goal, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(SERVED, goal)
    if regression is not None:
        regression.apply(goal)


def copy_all(folder: Path, listed: Iterable[Regression]) -> None:
    """One untouched copy, and one of each regression under its slug."""
    copy_package(folder, UNTOUCHED)
    for each in listed:
        copy_package(folder, each.slug, each)


def tower_of(name: str, model: str = "tiny") -> str:
    """How `--tower` names the tower of a copy, from the folder that holds it; `tiny` or `deep`."""
    return f"{name}.served:{model}"
