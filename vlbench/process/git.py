"""What git says of the folder that is measured in."""

import os
import subprocess
from pathlib import Path

PYTHON = ":(top)*.py"
"""Every Python file of the checkout, from whichever of its folders git is asked."""


def git(*arguments: str) -> str | None:
    """What `git ARGUMENTS` prints here, without the last newline; None where it fails or there is no git."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    except (OSError, UnicodeDecodeError, subprocess.CalledProcessError):
        return None
    return done.stdout.rstrip("\n")


def revision() -> str | None:
    """The revision that is checked out; None outside a checkout, or in one without commits."""
    return git("rev-parse", "--verify", "--quiet", "HEAD")


def changed_python(since: str) -> list[str] | None:
    """Python files that are not as they were at `since`, untracked ones included; None where git does not know it."""
    tracked = git("diff", "--name-only", since, "--", PYTHON)
    untracked = git("ls-files", "--others", "--exclude-standard", "--full-name", "--", PYTHON)
    if tracked is None or untracked is None:
        return None
    return [*tracked.splitlines(), *untracked.splitlines()]


def is_dirty() -> bool | None:
    """Are there uncommitted changes of Python files? None outside a checkout."""
    changed = changed_python("HEAD")
    return None if changed is None else bool(changed)


def committed(path: Path) -> str | None:
    """The text of `path` at HEAD; None where it is not committed."""
    folder, name = path.resolve().parent, path.name
    return git("-C", str(folder), "show", f"HEAD:./{name}")


def last_commit_of(path: Path) -> str | None:
    """The commit that last changed `path`; None where it has changed since, or was never committed."""
    folder, name = path.resolve().parent, path.name
    if git("-C", str(folder), "status", "--porcelain", "--", name) != "":
        return None
    return git("-C", str(folder), "log", "-1", "--format=%H", "--", name) or None


def commit_of(name: str) -> str | None:
    """The commit that a branch, a tag or another name stands for; None where git does not know it."""
    return git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")


def merge_base(commit: str) -> str | None:
    """The best common ancestor of a commit and what is checked out; None where git knows none."""
    return git("merge-base", commit, "HEAD")


def is_shallow() -> bool:
    """Was the history cut when this was cloned?"""
    return git("rev-parse", "--is-shallow-repository") == "true"


def text_at(commit: str, path: Path) -> str | None:
    """The text of a file at a commit; None where it was not there, or was no regular file."""
    seen = os.path.relpath(path)
    entry = git("ls-tree", commit, "--", seen)
    if not entry or not entry.startswith("100"):
        return None
    return git("show", f"{commit}:{seen if seen.startswith('..') else f'./{seen}'}")


def files_at(commit: str, folder: Path) -> list[Path]:
    """What a folder held at a commit, as `folder` is written."""
    listed = git("ls-tree", "-z", "--name-only", commit, "--", f"{os.path.relpath(folder)}/")
    return [folder / Path(name).name for name in (listed or "").split("\0") if name]


def user_name() -> str | None:
    """The name that git writes into commits."""
    return git("config", "user.name") or None
