"""The nsys command: where it is, what it can do, its command lines for a capture, and why each option is there."""

import glob
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlbench.nsys import child

VARIABLE = "VLBENCH_NSYS"
# Lets ranges with unregistered strings (torch.cuda.nvtx) open a capture; else it can stay empty, exit code 0.
REGISTER_ONLY = "NSYS_NVTX_PROFILER_REGISTER_ONLY"
_INSTALLED = (
    "/opt/nvidia/nsight-systems*/*/bin/nsys",
    "/opt/nvidia/nsight-systems*/*/target-linux-*/nsys",
    "/usr/local/cuda*/bin/nsys",
    "/usr/local/cuda*/nsight-systems*/bin/nsys",
)
LOOKED = (f"${VARIABLE}", "$PATH", *_INSTALLED)
DISCARD = "--discard-environment"
KEEPS = "this nsys stores all environment variables in the report, secrets too: keep it private, or update nsys"
"""What is said where an nsys does not know that option."""


def find_nsys() -> Path | None:
    """The nsys to use: $VLBENCH_NSYS, then $PATH, then the newest in the usual folders; None where absent."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen) if os.access(chosen, os.X_OK) and Path(chosen).is_file() else None
    if on_path := shutil.which("nsys"):
        return Path(on_path)
    installed = [Path(name) for pattern in _INSTALLED for name in glob.glob(pattern) if os.access(name, os.X_OK)]
    return max(installed, key=lambda path: (_release(path), str(path)), default=None)


def _release(path: Path) -> tuple[int, ...]:
    numbers = [part for part in path.parts if part[:1].isdigit()]
    return tuple(int(digit) for digit in numbers[-1].split(".") if digit.isdigit()) if numbers else ()


def said(nsys: Path, *arguments: str) -> str:
    """What `nsys <arguments>` prints; empty where it cannot be run."""
    command = [str(nsys), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


def version(nsys: Path) -> str:
    """The release, such as `2026.2.1.210`; empty where it does not say."""
    words = said(nsys, "--version").split()
    return next((word.partition("-")[0] for word in reversed(words) if word[:1].isdigit()), "")


def profile_help(nsys: Path) -> str:
    """The text of `nsys profile --help`, which lists the options this release knows."""
    return said(nsys, "profile", "--help")


@dataclass(frozen=True)
class Options:
    """What may be chosen; the rest is fixed so that captures stay comparable."""

    trace: str = "cuda,nvtx"  # cuda-sw,nvtx: without the hardware trace of Blackwell and later
    graph: str = "node"  # node: kernels inside CUDA graphs; graph: one row per replay, less overhead


def profile_command(nsys: Path | None, output: Path, arguments: Sequence[str], options: Options) -> list[str]:
    """`nsys profile ... python -m vlbench <arguments>`, writing `output` + .nsys-rep; without an nsys, for a new one.

    No CPU sampling and no context switches: they need privileges and are not counted. The window is opened by
    cudaProfilerStart; it ends with `stop`, not with the default `stop-shutdown`, which kills the program and
    its exit code. The environment is left out of the report (it may hold secrets) where this nsys can do so.
    """
    command = [
        str(nsys or "nsys"),
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
    if nsys is None or DISCARD in profile_help(nsys):
        command.append(f"{DISCARD}=true")
    return [*command, "-o", str(output), *child_program(arguments)]


def export_command(nsys: str, report: Path, target: Path) -> list[str]:
    """`nsys export` to SQLite; `--lazy=false` writes empty tables too, so that absent means not traced."""
    return [nsys, "export", "--type=sqlite", "--lazy=false", "--force-overwrite=true", "-o", str(target), str(report)]


def export_report(nsys: Path, report: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """Run that command; what it says is kept."""
    command = export_command(str(nsys), report, target)
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)


def child_program(arguments: Sequence[str]) -> list[str]:
    """The captured program: this Python's `python -P -m vlbench <arguments>`, without modules of the current folder."""
    return [sys.executable, "-P", "-m", "vlbench", *arguments]


def child_environment(sidecar: Path) -> dict[str, str]:
    """What the captured program needs in its environment: see `vlbench.nsys.child`."""
    return {child.VARIABLE: str(sidecar.resolve()), REGISTER_ONLY: "0"}
