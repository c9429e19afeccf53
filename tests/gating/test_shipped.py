"""The baselines that are shipped: in force, whoever looks."""

from __future__ import annotations

from pathlib import Path

import pytest

import vlbench
from vlbench.record.baseline_files import find_baselines, read_baseline

SHIPPED = find_baselines(Path(vlbench.__file__).parent / "baselines")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_shipped_baseline_is_accepted_whole_and_small(path: Path) -> None:
    found = read_baseline(path)
    assert found.counted
    assert found.name == path.stem
    assert path.stat().st_size < 100_000
