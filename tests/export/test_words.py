from __future__ import annotations

import pytest

from vlbench.export.words import milliseconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (1.23456, "1234.56"), (1e-3, "1.00"), (9.9e-4, "0.990"), (5.678e-6, "0.00568"), (1e-7, "0.000100")],
)
def test_milliseconds(seconds: float | None, text: str) -> None:
    assert milliseconds(seconds) == text
