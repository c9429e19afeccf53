"""Interpreters of the tests' own: environments beside this one, and programs that are none."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from vlbench.version import FOLDER


def empty(folder: Path) -> Path:
    """The interpreter of a new environment without any package."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder / "bin" / "python"


def like_this(folder: Path) -> tuple[Path, Path]:
    """The interpreter of a new environment with the packages of this one, and the folder of packages of its own."""
    python = empty(folder)
    (own,) = folder.glob("lib/python*/site-packages")
    own.joinpath("ours.pth").write_text("\n".join(each for each in sys.path if each.endswith("-packages")))
    return python, own


def copy_of_start(folder: Path) -> Path:
    """The folder, with as much of another vlbench as starts a process."""
    (folder / "vlbench/process").mkdir(parents=True)
    for name in ("__init__.py", "process/__init__.py"):
        (folder / "vlbench" / name).touch()
    shutil.copy(FOLDER / "process/start.py", folder / "vlbench/process")
    return folder


def program(path: Path, *lines: str) -> Path:
    """A shell script."""
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)
    return path
