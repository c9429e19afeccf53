"""`python -m vlbench.gating.listing`: collects test files, runs none of them, and says what their markers ask for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
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
OPTIONS = ["--collect-only", "-q", *PLUGINS, "--rootdir", ".", "-o", "addopts=", "--"]


class Files(Message):
    """What to collect, seen from the folder that the process starts in."""

    files: tuple[str, ...]


class Listed(Message):
    """The marks of each test that has a marker."""

    event: Literal["listed"] = "listed"
    tests: dict[str, tuple[Mark, ...]]


SAID: TypeAdapter[Listed | Refused] = TypeAdapter(Annotated[Listed | Refused, Field(discriminator="event")])


def marks_in(folder: Path, files: Sequence[str]) -> dict[str, tuple[Mark, ...]]:
    """The marks of each test in `files` of `folder`. Raises UsageError where pytest cannot collect them."""
    try:
        with Child("vlbench.gating.listing", SAID, LONGEST, folder=folder) as child:
            child.tell(Files(files=tuple(files)))
            found = child.hear()
    except (ChildError, UsageError) as error:
        raise UsageError(f"the markers in {', '.join(files[:3])} cannot be read: {error}") from None
    assert isinstance(found, Listed)  # a refusal is raised
    return found.tests


class _Collecting:
    """Listens to pytest."""

    def __init__(self) -> None:
        self.tests: dict[str, tuple[Mark, ...]] = {}
        self.fault = ""

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
    found = _Collecting()
    code = pytest.main([*OPTIONS, *next(parent.hear(Files)).files], plugins=[found])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise UsageError(found.fault or f"pytest ended with {int(code)}")
    parent.say(Listed(tests=found.tests))


if __name__ == "__main__":
    serve(_work)
