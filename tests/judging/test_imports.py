"""This floor stays light to import and knows nothing of those above it."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["vlbench.cli.judge", "vlbench.judging.exit_codes", "vlbench.judging.vote"])
def test_importing_loads_nothing_heavy_and_nothing_above(module: str) -> None:
    heavy = {"torch", "numpy", "scipy", "pandas", "transformers", "vlbench.trial", "vlbench.matrix"}
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not heavy & set(loaded)
