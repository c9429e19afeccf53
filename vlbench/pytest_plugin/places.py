"""Where files and modules are looked for: from the root of the tests, wherever pytest was started."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def at_root(config: pytest.Config) -> Iterator[None]:
    """In the root of the tests; processes that are started import what this one can, by pytest's `pythonpath` too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(map(os.path.abspath, filter(None, sys.path))))
        patch.chdir(config.rootpath)
        yield
