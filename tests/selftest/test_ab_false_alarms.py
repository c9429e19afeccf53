from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from tests.revisions.repositories import git
from vlbench.errors import UsageError
from vlbench.revisions.request import Way, way_of
from vlbench.selftest.ab_false_alarms import TOWERS, measure, scratch_repository
from vlbench.towers.resolve import resolve_tower


def test_both_ways_measure_one_tower(monkeypatch: pytest.MonkeyPatch) -> None:
    """The factory of the scratch repository makes what the other way loads."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    assert {way: way_of(tower) for way, tower in TOWERS.items()} == {way: way for way in Way}
    with scratch_repository() as folder:
        assert git(folder, "status", "--porcelain") == ""
        one, other = (
            resolve_tower(f"at:{folder}:{tower}").build(torch.device("cpu"), torch.float32) for tower in TOWERS.values()
        )
        pixels, grids = torch.ones(24, 1176), torch.tensor([[1, 4, 6]])
        with torch.inference_mode():
            assert torch.equal(one(pixels, grids), other(pixels, grids))
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_folder_that_is_not_there_is_found_out_first(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the folder .*nowhere does not exist"):
        measure(tmp_path / "nowhere/out.json")
