"""Ranges as a tool sees them. The tool is a small one of our own, loaded the way that Nsight Systems is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import vlbench
from vlbench.implementations.stage import listen, stage
from vlbench.profiling.nvtx import DOMAIN, NvtxListener, tool_attached

PROGRAM = """
from vlbench.implementations.stage import listen, stage
from vlbench.profiling.nvtx import NvtxListener, tool_attached

print(tool_attached())
with listen(NvtxListener()):
    for _ in range(2):
        with stage("forward"), stage("block[0].mlp"):
            pass
"""


def run_with(tool: Path, folder: Path, **environment: str) -> tuple[str, list[str]]:
    """What the program prints, and what the tool sees."""
    out = folder / "out"
    env = os.environ | {
        "PYTHONPATH": str(Path(vlbench.__file__).parents[1]),
        "NVTX_INJECTION64_PATH": str(tool),
        "TOOL_OUT": str(out),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=env | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip(), out.read_text().splitlines() if out.exists() else []


def test_a_tool_sees_every_stage_by_its_name_in_our_domain(tool: Path, tmp_path: Path) -> None:
    attached, seen = run_with(tool, tmp_path)
    assert attached == "True"
    once = [f"push {DOMAIN} forward", f"push {DOMAIN} block[0].mlp", f"pop {DOMAIN}", f"pop {DOMAIN}"]
    assert [line for line in seen if not line.startswith("domain")] == 2 * once
    assert f"domain {DOMAIN}" in seen


def test_nvtx_disable_is_heeded_although_a_tool_is_there(tool: Path, tmp_path: Path) -> None:
    attached, _ = run_with(tool, tmp_path, NVTX_DISABLE="1")
    assert attached == "False"


def test_without_a_tool_nobody_listens_and_ranges_do_no_harm() -> None:
    if "NVTX_INJECTION64_PATH" in os.environ:
        pytest.skip("a tool is attached")
    assert not tool_attached()
    with listen(NvtxListener()), stage("forward"), stage("mlp"):
        pass
