"""What `vlbench` promises: names that work whatever else was imported, before or after."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import vlbench
from tests.trial.plans import python_path

CALLS = """
import re, vlbench

def calls():
    assert callable(vlbench.nsys.load)
    wrong = [
        lambda: vlbench.run("no-such"), lambda: vlbench.count(dtype="int8"), lambda: vlbench.verify(model="no-such"),
        lambda: vlbench.compare("none.json", "none.json"), lambda: vlbench.gate("none.json"),
        lambda: vlbench.judge("none.json", "none.json"), lambda: vlbench.profile("no-such"),
        lambda: vlbench.recommend("no-such"),
        lambda: vlbench.report("none.json"), lambda: vlbench.load("none.json"),
    ]
    for call in wrong + wrong:
        try:
            call()
        except vlbench.UsageError as error:
            assert "--" not in re.sub("`.*?`", "", str(error)), error
        else:
            raise AssertionError("it took nonsense")
    for name in vlbench.__all__:
        assert getattr(vlbench, name) is getattr(vlbench, name), name
"""
ROOMS = """
import importlib, pkgutil, vlbench
for room in pkgutil.iter_modules(vlbench.__path__):
    if room.name != "__main__":
        importlib.import_module(f"vlbench.{room.name}")
"""


@pytest.mark.parametrize(
    "order",
    [(CALLS, "calls()", ROOMS, "calls()"), pytest.param((ROOMS, CALLS, "calls()"), marks=pytest.mark.slow)],
    ids=["calls", "rooms"],
)
def test_each_function_can_be_called_twice_whatever_came_first(order: tuple[str, ...], tmp_path: Path) -> None:
    command = [sys.executable, "-c", "\n".join(order)]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": python_path()}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_function_has_the_name_of_a_room() -> None:
    rooms = {path.name for path in Path(vlbench.__file__).parent.iterdir()}
    assert not rooms & set(vlbench.__all__)


def test_what_there_is_can_be_listed_and_nothing_else_is_there() -> None:
    assert set(vlbench.__all__) <= set(dir(vlbench))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        vlbench.nothing  # noqa: B018


@pytest.mark.parametrize("name", [name for name in vlbench.__all__ if name != "__version__"])
def test_each_says_what_it_does(name: str) -> None:
    assert len(getattr(vlbench, name).__doc__) > 60
