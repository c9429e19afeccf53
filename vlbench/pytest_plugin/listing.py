"""For a run that only collects: writes what the markers of each test ask for, so that a gate can read it."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from vlbench.errors import UsageError

sys.path[:0] = [str(folder) for folder in (Path.cwd(), Path.cwd() / "src") if folder.is_dir()]
OUT = "VLBENCH_MARKERS"
"""The variable that names the file to write."""


def pytest_collection_finish(session: pytest.Session) -> None:
    """A list of marks by test: the fields of `vlbench.pytest_plugin.marks.Mark`."""
    from vlbench.pytest_plugin.marks import marks_of

    found: dict[str, list[dict[str, object]]] = {}
    for item in session.items:
        if item.get_closest_marker("vlbench"):
            try:
                found[item.nodeid] = [asdict(mark) for mark in marks_of(item)]
            except UsageError:  # an error of the collection already
                continue
    Path(os.environ[OUT]).write_text(json.dumps(found))
