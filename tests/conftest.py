"""Settings for the whole suite: hypothesis without deadlines, the same draws on every CI run, one thread for torch."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.warm_start import WarmPopen

pytest_plugins = ["pytester", "vlbench.pytest_plugin"]

gc.disable()  # until all is collected: little of what is imported and collected is garbage

# Repositories that tests make are looked at to the last file, so nothing that is compiled may turn up in them.
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
sys.dont_write_bytecode = True

# In the background, and under nohup, they are ignored. So they stay here, but what tests start hears them, as ever.
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, lambda *_: None)

settings.register_profile("local", deadline=None, max_examples=50)
settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that no process is left with one of them when the others have nothing more to do."""

    def seconds(item: pytest.Item) -> float:
        return max((float(took(*mark.args, **mark.kwargs)) for mark in item.iter_markers("slow")), default=0.0)

    def took(seconds: float = 0) -> float:  # as the marker is called: by place or by name
        return seconds

    items.sort(key=seconds, reverse=True)


def pytest_collection_finish() -> None:
    """All that was imported and collected stays: searches for garbage, of which tests make many, pass it over."""
    gc.freeze()
    gc.set_threshold(20_000)
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Sums split over threads differ in their last bits, and several test processes share the cores.

    Who computes in this process has imported torch by now, at the top of a test module; others are spared it.
    """
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def warm_start() -> Iterator[None]:
    """Workers are forked from a process that has loaded torch, where that makes no difference."""
    with pytest.MonkeyPatch.context() as patch:
        if sys.platform == "linux" and not os.environ.get("VLBENCH_TESTS_COLD"):
            patch.setattr(subprocess, "Popen", WarmPopen)
        yield
    if WarmPopen.waiting:
        WarmPopen.waiting.end()


@pytest.fixture(scope="session", autouse=True)
def enough_time() -> Iterator[None]:
    """A budget bounds the rounds of a run in this process, and the whole has four minutes more on a busy machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vlbench.trial.limits.WRITING", -240.0)
        yield
