"""`python -m vlbench.gating.listing`: collects tests, runs none of them, and says what their markers ask for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, TypeAdapter

from vlbench.errors import UsageError
from vlbench.gating.marks import Mark, marks_of
from vlbench.process.child import Child, ChildError
from vlbench.process.messages import Message, Refused
from vlbench.process.parent import Parent, serve

if TYPE_CHECKING:
    import pytest

LONGEST = 600
"""Seconds that a collection may take."""
PLUGINS = ["-p", "vlbench.pytest_plugin", "-p", "no:cacheprovider"]
OPTIONS = ["--collect-only", "-q", *PLUGINS, "--rootdir", "."]
WITHOUT_ADDED = ["-o", "addopts="]
Tests = dict[str, tuple[Mark, ...]]
"""The marks of each test that has a marker."""


class Files(Message):
    """Python files that speak of the marker, seen from the folder that the process starts in."""

    files: tuple[str, ...]


class Listed(Message):
    """What was found."""

    event: Literal["listed"] = "listed"
    named: Tests
    """In the files, where pytest is given each by its name."""
    found: Tests
    """By pytest without any argument: by its settings, and by what conftest.py leaves of the tests."""
    fault: str = ""
    """What kept that from being collected as a whole."""
    without_added: bool = False
    """Were `addopts` of the settings left out of it, for pytest does not take them here?"""

    @property
    def tests(self) -> Tests:
        """All of them."""
        return self.found | self.named


SAID: TypeAdapter[Listed | Refused] = TypeAdapter(Annotated[Listed | Refused, Field(discriminator="event")])


def marks_in(folder: Path, files: Sequence[str]) -> Listed:
    """The marked tests of `folder`, in which `files` speak of the marker.

    A file that is no test file may mark the tests of others: all of them are collected then. Raises UsageError where
    pytest cannot collect a file.
    """
    if not files:
        return Listed(named={}, found={})
    try:
        with Child("vlbench.gating.listing", SAID, LONGEST, folder=folder) as child:
            child.tell(Files(files=tuple(files)))
            found = child.hear()
    except (ChildError, UsageError) as error:
        raise UsageError(f"the markers in {', '.join(files[:3])} cannot be read: {error}") from None
    assert isinstance(found, Listed)  # a refusal is raised
    return found


class _Collecting:
    """Listens to pytest."""

    def __init__(self, files: Sequence[str] = ()) -> None:
        """Of test files it leaves those out that are none of `files`, unless one of these is no test file."""
        self.files = {Path(each).resolve() for each in files}
        self.tests: Tests = {}
        self.fault = ""
        self.wide = not files

    def pytest_configure(self, config: pytest.Config) -> None:
        patterns = config.getini("python_files")
        self.wide = self.wide or not all(
            any(fnmatch(file.name, each) or fnmatch(str(file), each) for each in patterns) for file in self.files
        )

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        left_out = not self.wide and collection_path.suffix == ".py" and collection_path.resolve() not in self.files
        return True if left_out and collection_path.is_file() else None

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        lines = report.longreprtext.splitlines() if report.failed else []
        errors = [line for line in lines if line.startswith("E  ")] or lines[-1:]
        self.fault = self.fault or "".join(errors[:1]).removeprefix("E  ").strip()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        marked = (item for item in session.items if item.get_closest_marker("vlbench"))
        self.tests = {item.nodeid: tuple(marks_of(item)) for item in marked}


def _work(parent: Parent) -> None:
    import pytest

    # `-P` leaves out what `python -m pytest` finds in the current folder, and a `src` is where packages often lie.
    sys.path[:0] = [str(folder) for folder in (Path.cwd(), Path.cwd() / "src") if folder.is_dir()]
    sys.dont_write_bytecode = True  # one of the folders is the user's
    files = next(parent.hear(Files)).files
    found, code = _collected([], files)
    if without_added := code == pytest.ExitCode.USAGE_ERROR:  # such as options of a plugin that is not here
        found, code = _collected(WITHOUT_ADDED, files)
    fault = found.fault or (
        "" if code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) else f"pytest ended with {code}"
    )
    names = [name for name in files if Path(name).name != "conftest.py"]
    named, code = _collected([*WITHOUT_ADDED, "--", *names]) if names else (_Collecting(), pytest.ExitCode.OK)
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise UsageError(named.fault or f"pytest ended with {code}")
    parent.say(Listed(named=named.tests, found=found.tests, fault=fault, without_added=without_added))


def _collected(arguments: Sequence[str], files: Sequence[str] = ()) -> tuple[_Collecting, int]:
    import pytest

    listener = _Collecting(files)
    return listener, pytest.main([*OPTIONS, *arguments], plugins=[listener])


if __name__ == "__main__":
    serve(_work)
