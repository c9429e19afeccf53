from __future__ import annotations

import pytest

from tests.trial.plans import MISBEHAVING, python_path


@pytest.fixture(scope="module")
def misbehaving() -> object:
    """Measuring processes know the flags that misbehave."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", python_path(MISBEHAVING))
        yield
