"""Puts somebody's repository under the gate: a baseline of its tower, a test, a workflow, and what git is to ignore."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shlex
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.resources import files
from pathlib import Path

from vlbench.errors import UsageError
from vlbench.gating.installs import Installs
from vlbench.process.git import git, git_lines
from vlbench.record.baseline_files import FOLDER, PROPOSED, proposal_path
from vlbench.record.destinations import NAME_MAX, check_folder, claim
from vlbench.untrusted.pytest_settings import pytest_settings

WORKFLOWS = Path(".github/workflows")


def baseline_for(tower: str, folder: Path = FOLDER) -> Path:
    """`my.towers:Vision` has its baseline in `folder`/my-towers-vision.json."""
    slug = re.sub(r"[^a-z0-9.]+", "-", tower.lower().replace(":", "-")).strip("-").replace(".", "-")
    return folder / f"{slug}.json"


@dataclass(frozen=True)
class Place:
    """A folder of a repository that is put under the gate, with the files that are written for it."""

    folder: Path
    """Resolved."""
    top: Path
    """Of the repository, resolved; the folder itself where there is none."""
    in_git: bool = True
    """Is there a repository?"""

    @classmethod
    def here(cls) -> Place:
        """The current folder."""
        top = git("rev-parse", "--show-toplevel")
        return cls(Path().resolve(), Path(top or "").resolve(), in_git=bool(top))

    @property
    def inside(self) -> str:
        """The folder as seen from the top; "" for the top itself."""
        return "" if self.folder == self.top else self.folder.relative_to(self.top).as_posix()

    @property
    def test(self) -> Path:
        """Seen from the folder. Its name is one of its own: pytest takes two files of one name for one module."""
        return Path(f"tests/test_vlbench{_suffix(self.inside, '_')}.py")

    def uncollected(self) -> str:
        """What is to be told where the `testpaths` of pytest leave the test out; else "". Raises UsageError."""
        found = pytest_settings(self.folder)
        if found is None or not found.path.is_relative_to(self.top) or not (paths := found.words("testpaths")):
            return ""
        test = Path(os.path.relpath(self.folder / self.test, found.path.parent))
        if any(fnmatch(str(each), os.path.normpath(path)) for each in (test, *test.parents) for path in paths):
            return ""
        seen = Path(os.path.relpath(found.path, self.folder))
        return (
            f'{self.test}: pytest does not collect it, for testpaths of {seen} leave it out; add "{test.parent}" there'
        )

    @property
    def workflow(self) -> Path:
        """Seen from the top, where GitHub reads workflows."""
        return WORKFLOWS / f"vlbench{_suffix(self.inside, '-')}.yml"

    def refuse(self, baseline: Path, torch: str) -> None:
        """Raises UsageError where the baseline is there already, or another file that is not one of ours to add to.

        Neither does it take a folder that GitHub would read as an expression.
        """
        if "${{" in self.inside:
            raise UsageError(f"{self.inside}: GitHub reads ${{{{ in a workflow as an expression; rename the folder")
        if (self.folder / baseline).exists():
            raise UsageError(f"{baseline}: it is there already; remove it, or use `vlbench baseline save` alone")
        written = [self.folder / self.test, self.top / self.workflow]
        if unwanted := self._unwanted(baseline):
            written.append(self.folder / unwanted)
        for path in written:
            _check_written(path)
        test, workflow = (_text(each) for each in (self.folder / self.test, self.top / self.workflow))
        if test is not None and not ("(vlbench_gate)" in test and "import pytest" in test):
            raise UsageError(f"{self.test}: it is there already, and not from `vlbench gate init`; rename it")
        if workflow is None:
            return
        if "vlbench gate --base" not in workflow:
            raise UsageError(f"{self.workflow}: it is there already, and not from `vlbench gate init`; rename it")
        other = re.search(r"torch==([\w.]+)", workflow)
        if other and other[1] != _release(torch):
            raise UsageError(
                f"{self.workflow}: it installs torch {other[1]}, and this is {_release(torch)}, and counts compare "
                "under one release: install that one here, or raise it there and with `vlbench baseline rebase`"
            )

    def write_test(self, baseline: Path) -> None:
        """A test that fails where a change adds a wait, a copy or an operation; beside those of other towers."""
        path = self.folder / self.test
        text = _rendered("test_vlbench.py.jinja", baseline=baseline.as_posix(), name=re.sub(r"\W", "_", baseline.stem))
        before = _text(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if before is None else f"{before.rstrip()}\n\n\n{text[text.index('@pytest') :]}")

    def write_workflow(self, torch: str, installed: Installs) -> bool:
        """The workflow that gates every pull request on a runner without a GPU; False where it is there already."""
        path = self.top / self.workflow
        if path.exists():
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        text = _rendered(
            "vlbench.yml.jinja",
            workflow=self.workflow.as_posix(),
            inside=self.inside,
            python=".".join(platform.python_version_tuple()[:2]),
            torch=_release(torch),
            installs=shlex.join(installed.arguments),
            only_here=installed.only_here,
        )
        path.write_text(text)
        return True

    def ignore_proposals(self, baseline: Path) -> Path | None:
        """The .gitignore beside the baseline, by which nobody commits what a gate proposes; None where git knows."""
        if file := self._unwanted(baseline):
            before = _text(self.folder / file) or ""
            (self.folder / file).write_text(f"{before.rstrip()}\n*{PROPOSED}\n".lstrip())
        return file

    def _unwanted(self, baseline: Path) -> Path | None:
        return None if self.ignored(proposal_path(baseline)) else baseline.with_name(".gitignore")

    def ignored(self, *paths: Path) -> list[str]:
        """Those of `paths`, seen from the folder, that git ignores: nobody who clones the repository has them."""
        return git_lines("-C", str(self.folder), "check-ignore", *map(str, paths)) or []

    def seen(self, path: Path) -> Path:
        """A path below the top, as seen from the folder."""
        return Path(os.path.relpath(self.top / path, self.folder))


def _suffix(inside: str, dash: str) -> str:
    """One of its own for each folder: where a dash may stand for more than a "/", a digest tells them apart."""
    name = re.sub(r"\W+", dash, f"/{inside}").rstrip(dash) if inside else ""
    if name.replace(dash, "/").lstrip("/") == inside and dash not in inside:
        return name
    return f"{name}{dash}{hashlib.sha256(inside.encode(errors='surrogateescape')).hexdigest()[:8]}"


def _release(torch: str) -> str:
    return torch.partition("+")[0]


def _check_written(path: Path) -> None:
    """Raises UsageError where a file cannot be written that has to have this name: no other can be chosen."""
    if len(os.fsencode(path.name)) > NAME_MAX:
        raise UsageError(f"{path}: too long a name, which comes from where the folder lies; shorten its path")
    if os.path.lexists(path) and not path.is_file():
        raise UsageError(f"{path}: it is in the way, for it is no file; move it")
    check_folder(path.parent, str(path), otherwise="")
    if path.exists() and not os.access(path, os.W_OK):
        raise UsageError(f"{path}: nothing may be written to it; change its permissions")
    claim(path, "gate init")


def _text(path: Path) -> str | None:
    return path.read_text(errors="replace") if path.exists() else None


def _rendered(template: str, **values: object) -> str:
    from jinja2 import Environment, StrictUndefined

    # Workflows are full of ${{ }}, so ours are other brackets.
    environment = Environment(
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        autoescape=False,
    )
    text = (files("vlbench") / "gating" / "templates" / template).read_text()
    return environment.from_string(text).render(values)
