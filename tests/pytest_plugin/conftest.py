from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from _pytest import pytester as inside

import tests.counting.toy_towers  # noqa: F401
import vlbench.pytest_plugin.gate
import vlbench.pytest_plugin.timing  # noqa: F401
from tests.trial.plans import ROOT

TOWERS = """
import os
import torch
from torch import nn

with open(os.path.join(os.path.dirname(__file__), "imports.log"), "a") as log:
    log.write("imported\\n")


class Waits(nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = nn.Linear(1176, 32)

    def forward(self, pixels, grid_thw):
        for _ in range(3):
            grid_thw.tolist()
        return self.proj(pixels).view(-1, 4, 32).mean(1)


class Dies(Waits):
    def forward(self, pixels, grid_thw):
        os.abort()
"""

ONCE = ("numpy", "pandas", "torch")
"""Libraries whose parts can be loaded only once in a process: their C++ knows them from then on."""

Run = Callable[..., pytest.RunResult]


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run inside of this process imports is forgotten after it, but for `ONCE`."""

    class Snapshot(inside.SysModulesSnapshot):
        def __init__(self, preserve: Callable[[str], bool] = lambda _: False) -> None:
            super().__init__(lambda name: name.partition(".")[0] in ONCE or preserve(name))

    monkeypatch.setattr(inside, "SysModulesSnapshot", Snapshot)


@pytest.fixture
def towers(pytester: pytest.Pytester) -> Path:
    """A project with a module `towers`, whose `Waits` waits for three read-backs.

    Every process that imports it leaves a line in `imports.log`.
    """
    pytester.makepyfile(towers=TOWERS)
    return pytester.path


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """pytest with the plugin in this process, from its arguments to its exit status."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # the session inside is nobody's worker
    monkeypatch.syspath_prepend(ROOT)
    return lambda *arguments: pytester.runpytest_inprocess("-p", "vlbench.pytest_plugin", *arguments)
