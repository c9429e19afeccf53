"""Any module may be the first that is imported of the package."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys

import pytest

from vlbench import implementations

EACH_ALONE = """
import os, sys, traceback
from importlib import import_module
import torch
for name in sys.argv[1:]:
    if not (child := os.fork()):
        try:
            import_module(name)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        print(name)
"""
"""Prints the names of those that cannot be imported."""


def found() -> list[str]:
    """All modules but the kernels, which need Triton."""
    walked = pkgutil.walk_packages(implementations.__path__, f"{implementations.__name__}.")
    return [each.name for each in walked if ".kernels.jit" not in each.name]


def fail_alone(*names: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", EACH_ALONE, *names],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return done.stdout.split()


@pytest.mark.slow
def test_each_module_can_be_the_first() -> None:
    """Flags are found in whole folders, which import what finds them."""
    names = found()
    assert len(names) > 50
    assert fail_alone(*names) == []


@pytest.mark.slow
def test_one_that_cannot_is_told() -> None:
    assert fail_alone("json", "vlbench.implementations.nothing") == ["vlbench.implementations.nothing"]
