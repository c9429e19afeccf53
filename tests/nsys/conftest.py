"""Where the third-party captures are; they are not in the repository; tests skip without them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def public_captures() -> Path:
    """The folder of golden.json, captures/ and kineto/: $VLBENCH_CAPTURES, else ../shared/nsys."""
    chosen = os.environ.get("VLBENCH_CAPTURES")
    around = [parent.parent / "shared" / "nsys" for parent in Path(__file__).resolve().parents]
    for folder in [Path(chosen)] if chosen else around:
        if (folder / "golden.json").is_file():
            return folder
    pytest.skip("the public captures are not here")
