"""Where files and modules are looked for: from the root of the tests, wherever pytest was started."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def in_root(text: str, root: Path) -> str:
    """A scenario's name as it is, a file's path as seen from `root`."""
    return str(root / text) if text.endswith((".toml", ".json")) else text


@contextmanager
def importable(config: pytest.Config) -> Iterator[None]:
    """Processes that are started inside import what this one can, pytest's `pythonpath` included, and from the root."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(config.rootpath), *filter(None, sys.path)]))
        yield
