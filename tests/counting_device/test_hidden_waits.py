"""No operation of torch waits without being counted, by the search of `hidden_waits`."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SEARCH = Path(__file__).with_name("hidden_waits.py")


@pytest.mark.slow
@pytest.mark.skipif(find_spec("expecttest") is None, reason="expecttest is missing")
def test_no_operation_of_torch_waits_unseen() -> None:
    done = subprocess.run([sys.executable, str(SEARCH)], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["unseen"] == []
    assert found["compared"] > 2000, "the search has become small"
    assert found["refused"] < 40
