"""How the time that `vlbench judge` takes grows with the metrics of three runs a side, its table included.

The routine run is small. `VLBENCH_JUDGE_METRICS=10000 pytest tests/benchmarks/test_judge.py` is the most that is judged
at once, 60,000 figures in six files.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

METRICS = int(os.environ.get("VLBENCH_JUDGE_METRICS", "200"))


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_judge(benchmark: BenchmarkFixture, tmp_path: Path, option: list[str]) -> None:
    draw = np.random.default_rng(1)
    usual = np.exp(draw.normal(0, 3, METRICS))
    for run in range(6):
        times = usual * np.exp(draw.normal(0, 0.02, METRICS))
        found = [{"fullname": f"test_{at}", "stats": {"median": time}} for at, time in enumerate(times.tolist())]
        (tmp_path / f"{'ab'[run % 2]}{run}.json").write_text(json.dumps({"benchmarks": found, "machine_info": {}}))
    sides = ["--before", str(tmp_path / "a*"), "--after", str(tmp_path / "b*")]
    command = [sys.executable, "-m", "vlbench", "judge", *sides, *option]
    ended = benchmark.pedantic(subprocess.run, (command,), {"capture_output": True, "text": True}, rounds=1)
    benchmark.extra_info["metrics"] = METRICS
    assert ended.returncode in (3, 4)
    rows = len(json.loads(ended.stdout)["rows"]) if option else ended.stdout.count("test_")
    assert rows >= METRICS
