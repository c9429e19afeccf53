"""Ctrl-C in a notebook reaches the kernel alone: what it started has to end with the call."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.trial.plans import SCENARIO_FILE, python_path

TOWER = """
import time
from torch import nn

class Slow(nn.Module):
    def __init__(self):
        super().__init__()
        open("started", "w").close()
        time.sleep(600)
"""
RUN = """
import vlbench

def told(line):
    if "round" in line:
        open("started", "w").close()

try:
    vlbench.run("small.toml", variant="host-grid", device="cpu", budget=300, card=False, out="a.json", progress=told)
except vlbench.Interrupted as interruption:
    assert not interruption.results.record.complete
    assert vlbench.load("a.json").record == interruption.results.record
    print("interrupted")
"""
COUNT = """
import vlbench

try:
    vlbench.count("slow:Slow", grid="1x4x6")
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.slow
@pytest.mark.parametrize("script", [RUN, COUNT], ids=["run", "count"])
def test_ctrl_c_ends_what_a_call_started_and_raises(script: str, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SCENARIO_FILE)
    (tmp_path / "slow.py").write_text(TOWER)
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": python_path()},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "started").exists() and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.1)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "interrupted\n")
    assert not psutil.wait_procs(children, timeout=5)[1]
