"""The baselines that are shipped: in force, whoever looks."""

from __future__ import annotations

from pathlib import Path

import pytest

import vlbench
from vlbench.gating.manifest import NAME, lists, read_manifest
from vlbench.record.baseline_files import find_baselines, read_baseline

FOLDER = Path(vlbench.__file__).parent / "baselines"
FOLDERS = (FOLDER, FOLDER / "times")
SHIPPED = [path for folder in FOLDERS for path in find_baselines(folder)]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_shipped_baseline_is_accepted_whole_and_small(path: Path) -> None:
    found = read_baseline(path)
    assert found.counted
    assert found.name == path.stem
    assert path.stat().st_size < 100_000
    assert lists(path, found), f"commit {path.parent / NAME}, which says what `vlbench gate` must find in it"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_manifest_lists_what_is_there_and_nothing_else(folder: Path) -> None:
    manifest = read_manifest(folder)
    assert manifest is not None
    assert sorted(manifest.baselines) == sorted(path.name for path in find_baselines(folder))
