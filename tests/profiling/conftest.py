"""An NVTX tool of our own, loaded the way that Nsight Systems is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler on Linux")
    library = tmp_path_factory.mktemp("tool") / "tool.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, Path(__file__).parent / "tool.c"], check=True)
    return library
