"""The fixture `vlbench_cell` where pytest-benchmark is not: a test that asks for it fails and says so."""

from __future__ import annotations

import pytest


@pytest.fixture
def vlbench_cell() -> None:
    """Time a tower under pytest-benchmark, which is not here."""
    pytest.fail(
        "vlbench_cell times with pytest-benchmark, which is missing or switched off; pip install pytest-benchmark",
        pytrace=False,
    )
