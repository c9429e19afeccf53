"""This floor stays light to import and knows nothing of those above it."""

from __future__ import annotations

import subprocess
import sys


def loaded(*names: str) -> set[str]:
    code = f"import sys, {', '.join(names)}; print(*sys.modules)"
    return {*subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()}


def test_importing_loads_nothing_heavy_and_nothing_above() -> None:
    heavy = {"torch", "numpy", "scipy", "pandas", "transformers", "vlbench.trial", "vlbench.matrix"}
    assert not heavy & loaded("vlbench.cli.judge", "vlbench.judging.exit_codes", "vlbench.judging.vote")


def test_what_compares_files_does_without_the_second_that_scipy_stats_takes() -> None:
    assert not {"torch", "scipy.stats", "transformers"} & loaded("vlbench.comparing.compared")
