"""The nsys command lines for a capture that can be counted, and why each option is there."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlbench.nsys.sidecar import VARIABLE

# Lets ranges with unregistered strings (torch.cuda.nvtx) open a capture; else it can stay empty, exit code 0.
REGISTER_ONLY = "NSYS_NVTX_PROFILER_REGISTER_ONLY"


@dataclass(frozen=True)
class Options:
    """What may be chosen; the rest is fixed so that captures stay comparable."""

    trace: str = "cuda,nvtx"  # cuda-sw,nvtx: without the hardware trace of Blackwell and later
    graph: str = "node"  # node: kernels inside CUDA graphs; graph: one row per replay, less overhead


def profile_command(nsys: str, output: Path, program: Sequence[str], help_text: str, options: Options) -> list[str]:
    """`nsys profile ... program`, writing `output` + .nsys-rep.

    No CPU sampling and no context switches: they need privileges and are not counted. The window is opened by
    cudaProfilerStart; it ends with `stop`, not with the default `stop-shutdown`, which kills the program and
    its exit code. The environment is left out of the report (it may hold secrets) where this nsys can do so.
    """
    command = [
        nsys,
        "profile",
        f"--trace={options.trace}",
        "--sample=none",
        "--cpuctxsw=none",
        "--backtrace=none",
        "--capture-range=cudaProfilerApi",
        "--capture-range-end=stop",
        f"--cuda-graph-trace={options.graph}",
        "--force-overwrite=true",
        "--export=none",
        "--wait=all",
    ]
    if "--discard-environment" in help_text:
        command.append("--discard-environment=true")
    return [*command, "-o", str(output), *program]


def export_command(nsys: str, report: Path, target: Path) -> list[str]:
    """`nsys export` to SQLite; `--lazy=false` writes empty tables too, so that absent means not traced."""
    return [nsys, "export", "--type=sqlite", "--lazy=false", "--force-overwrite=true", "-o", str(target), str(report)]


def child_program(arguments: Sequence[str]) -> list[str]:
    """The captured program: this Python's `python -m vlbench <arguments>`."""
    return [sys.executable, "-m", "vlbench", *arguments]


def child_environment(sidecar: Path) -> dict[str, str]:
    """What the captured program needs in its environment: see `vlbench.nsys.child`."""
    return {VARIABLE: str(sidecar.resolve()), REGISTER_ONLY: "0"}
