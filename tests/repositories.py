"""Real git repositories, in folders of the tests' own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


def written_by(name: str) -> dict[str, str]:
    """The variables with which git takes this for the name of who writes, and has nobody's settings."""
    names = {"NAME": name, "EMAIL": f"{name.split()[-1].lower()}@example.org"}
    both = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in names.items()}
    return both | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


def begin_here() -> None:
    """A repository of Ada's in the current folder, without a commit."""
    for words in ("init --quiet --initial-branch main", "config user.name Ada", "config user.email ada@example.org"):
        subprocess.run(["git", *words.split()], check=True, capture_output=True)


def git(folder: Path, *arguments: str) -> str:
    env = os.environ | written_by("nobody")
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, env=env
    ).stdout.strip()


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def commit(folder: Path, files: Mapping[str, str]) -> str:
    """Write `files` and commit all that is there; the first commit makes the repository. Its name is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch=main")
    write(folder, files)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "a change")
    return git(folder, "rev-parse", "HEAD")
