"""This floor stays light to import and knows nothing of those above it."""

from __future__ import annotations

import subprocess
import sys


def test_importing_loads_nothing_heavy_and_nothing_above() -> None:
    heavy = {"torch", "numpy", "scipy", "pandas", "transformers", "vlbench.trial", "vlbench.matrix"}
    code = "import sys, vlbench.cli.judge, vlbench.judging.exit_codes, vlbench.judging.vote; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not heavy & set(loaded)
