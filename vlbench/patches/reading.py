"""What a patch may touch: the files that it changes are looked at before any of its code is run."""

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from vlbench.errors import UsageError
from vlbench.patches.reasons import JudgementError, Reason
from vlbench.process.git import run_git
from vlbench.process.listing import EMPTY, LINK
from vlbench.untrusted.files import Kind, read_bytes, read_toml

PATCH = Kind("name a file that `git diff` wrote")
PROJECT = Kind("mend it")
TAKEN = sys.stdlib_module_names | {"sitecustomize", "usercustomize", "torch", "numpy", "pydantic", "vlbench"}
"""Names at the top of a repository that would be imported in the place of what judges."""
TESTS = re.compile(r"tests?|conftest\.py|test_\w*\.py|\w+_test\.py|pytest\.ini|tox\.ini|setup\.cfg|\w+\.pth")
_ABSOLUTE = re.compile(rb"^--- (?P<old>[^\n]*)\n\+\+\+ (?P<new>[^\n]*)$", re.MULTILINE)


def check_patch(path: Path, top: Path) -> None:
    """Raises JudgementError for what is no patch, or names a place outside of the repository, UsageError for none."""
    text = read_bytes(path, PATCH)
    said = run_git("-C", str(top), "apply", "--numstat", "-z", str(path.resolve()))
    names = [each.split("\t", 2)[-1] for each in said.stdout.split("\0") if each]
    if said.returncode or not names:
        told = next(iter(said.stderr.splitlines()), "it is empty")
        raise JudgementError(Reason.NOT_A_PATCH, f"{path}: {told.removeprefix('error: ')}; write it with `git diff`")
    heads = [name for found in _ABSOLUTE.finditer(text) for name in found.groups()]
    absolute = [name for name in heads if name.startswith(b"/") and not name.startswith(b"/dev/null")]
    for name in [*(each.decode(errors="replace") for each in absolute), *names]:
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or ".git" in parts:
            raise JudgementError(Reason.OUTSIDE_THE_REPOSITORY, f"it names {name}; change files of the repository")


def check_changes(before: Mapping[str, str], after: Mapping[str, str], at: tuple[Path, Path], baselines: str) -> None:
    """Raises JudgementError where what changed from one listing to another is nothing that a patch may change.

    `at` are the folders of both, `baselines` is the folder that BASE keeps them in.
    """
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    for name in changed:
        if any(each.get(name, "").startswith((LINK, EMPTY)) for each in (before, after)) or name == ".gitmodules":
            raise JudgementError(Reason.LINK_OR_SUBMODULE, f"{name} is a link or a submodule; change regular files")
    for name in changed:
        if why := _of_the_judge(name, before, at, baselines):
            raise JudgementError(Reason.EDITS_THE_JUDGE, f"{name} {why}; leave it as it is at BASE")


def _of_the_judge(name: str, before: Iterable[str], at: tuple[Path, Path], baselines: str) -> str:
    """Why a patch may not change this file; "" where it may."""
    path = PurePosixPath(name)
    if any(TESTS.fullmatch(part) for part in path.parts):
        return "belongs to the tests"
    if path.is_relative_to(baselines) or path.name.endswith((".manifest", ".proposed.json")):
        return "belongs to the baselines"
    if path.name == "pyproject.toml" and _settings(at[0] / name) != _settings(at[1] / name):
        return "has other settings of vlbench or pytest"
    top = next((part for part in path.parts if part not in ("src", "python")), "")
    if top == "vlbench" and "implementations" not in path.parts:
        return "is vlbench's own"
    known = {PurePosixPath(each).parts[0] for each in before} | {"vlbench"}
    return "has the name of a package that judges" if Path(top).stem in TAKEN and top not in known else ""


def _settings(path: Path) -> Any:
    if not path.exists():
        return [None, None]
    try:
        tool = read_toml(path, PROJECT).get("tool", {})
        return [tool.get(each) for each in ("vlbench", "pytest")]
    except (UsageError, AttributeError):
        return "broken"
