"""The reference tower and two presets on two scenarios; `vlbench run` compares more of them, and in shared rounds."""

from __future__ import annotations

import pytest

from vlbench.pytest_plugin.timed import TimeCell


@pytest.mark.parametrize("scenario", ["multi-image", "thumbnails"])
@pytest.mark.parametrize("variant", ["baseline", "classic", "best"])
def test_a_tower(vlbench_cell: TimeCell, variant: str, scenario: str) -> None:
    vlbench_cell(variant, model="qwen2.5-vl-tiny", scenario=scenario)
