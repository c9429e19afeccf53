"""Settings for the whole suite: hypothesis without deadlines, the same draws on every CI run, one thread for torch."""

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import settings

pytest_plugins = ["pytester", "vlbench.pytest_plugin"]

# Repositories that tests make are looked at to the last file, so nothing that is compiled may turn up in them.
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
sys.dont_write_bytecode = True

settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Sums split over threads differ in their last bits, and several test processes share the cores."""
    import torch

    torch.set_num_threads(1)
