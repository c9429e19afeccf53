"""Where the optional third-party captures are. They are not part of the repository: tests that need them skip."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def public_captures() -> Path:
    """The folder with golden.json, captures/ and kineto/: $VLBENCH_CAPTURES, else ../shared/nsys above the tests."""
    chosen = os.environ.get("VLBENCH_CAPTURES")
    around = [parent.parent / "shared" / "nsys" for parent in Path(__file__).resolve().parents]
    for folder in [Path(chosen)] if chosen else around:
        if (folder / "golden.json").is_file():
            return folder
    pytest.skip("the public captures are not here")
