"""Find the nsys command and what the installed release can do."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
from pathlib import Path

VARIABLE = "VLBENCH_NSYS"
_INSTALLED = (
    "/opt/nvidia/nsight-systems*/*/bin/nsys",
    "/opt/nvidia/nsight-systems*/*/target-linux-*/nsys",
    "/usr/local/cuda*/bin/nsys",
    "/usr/local/cuda*/nsight-systems*/bin/nsys",
)
LOOKED = (f"${VARIABLE}", "$PATH", *_INSTALLED)


def find_nsys() -> Path | None:
    """The nsys to use: $VLBENCH_NSYS, then $PATH, then the newest in the usual folders; None where absent."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen) if os.access(chosen, os.X_OK) and Path(chosen).is_file() else None
    on_path = shutil.which("nsys")
    if on_path:
        return Path(on_path)
    installed = [Path(name) for pattern in _INSTALLED for name in glob.glob(pattern) if os.access(name, os.X_OK)]
    return max(installed, key=lambda path: (_release(path), str(path)), default=None)


def _release(path: Path) -> tuple[int, ...]:
    numbers = [part for part in path.parts if part[:1].isdigit()]
    return tuple(int(digit) for digit in numbers[-1].split(".") if digit.isdigit()) if numbers else ()


def said(nsys: Path, *arguments: str) -> str:
    """What `nsys <arguments>` prints; empty where it cannot be run."""
    try:
        done = subprocess.run(
            [str(nsys), *arguments], capture_output=True, text=True, errors="replace", timeout=60, check=False
        )
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
