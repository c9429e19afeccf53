"""The command line answers before anybody waits; that it loads nothing heavy is a test of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

MOST_SECONDS = 0.4


@pytest.mark.parametrize("asked", ["--help", "list models"])
def test_an_answer_without_torch(benchmark: BenchmarkFixture, asked: str) -> None:
    command = [sys.executable, "-m", "vlbench", *asked.split()]
    benchmark.pedantic(subprocess.run, (command,), {"capture_output": True, "check": True}, rounds=5)
    if benchmark.stats:
        assert benchmark.stats.stats.min < MOST_SECONDS
