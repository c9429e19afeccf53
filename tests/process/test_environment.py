from __future__ import annotations

import os
from pathlib import Path

import pytest

from vlbench.process.environment import portable_environment


def test_the_path_names_the_same_folders_from_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["lib", "/opt/lib", ""]))
    path = portable_environment()["PYTHONPATH"]
    assert path.split(os.pathsep) == [str(tmp_path / "lib"), "/opt/lib", str(tmp_path)]


def test_without_a_path_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for empty in (True, False):
        if empty:
            monkeypatch.setenv("PYTHONPATH", "")
        else:
            monkeypatch.delenv("PYTHONPATH")
        assert portable_environment() == dict(os.environ)
