from __future__ import annotations

import time
from pathlib import Path

import pytest

from vlbench.trial import load
from vlbench.trial.load import LoadMeter


def stat(folder: Path, monkeypatch: pytest.MonkeyPatch, *ticks: int) -> None:
    (folder / "stat").write_text(f"cpu  {' '.join(map(str, ticks))}\ncpu0 1 2 3\n")
    monkeypatch.setattr(load, "STAT", folder / "stat")


def test_the_stolen_share_is_of_the_time_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat(tmp_path, monkeypatch, 100, 0, 10, 50, 0, 0, 0, 5, 77, 0)  # of these, 77 of a guest are in the first
    meter = LoadMeter()
    stat(tmp_path, monkeypatch, 160, 0, 20, 70, 0, 0, 0, 15, 99, 0)
    assert meter.read().stolen == pytest.approx(10 / 100)


@pytest.mark.parametrize("content", ["", "cpu 1 2 3\n", "intr 1 2 3 4 5 6 7 8 9\n"])
def test_a_system_that_does_not_tell_is_not_measured(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stat").write_text(content)
    monkeypatch.setattr(load, "STAT", tmp_path / "stat")
    assert LoadMeter().read().stolen is None
    monkeypatch.setattr(load, "STAT", tmp_path / "none")
    assert LoadMeter().read().stolen is None


def test_this_machine_has_figures() -> None:
    meter = LoadMeter()
    end = time.monotonic() + 0.05
    while time.monotonic() < end:
        pass
    found = meter.read()
    assert found.cores >= 1
    assert found.load is not None
    assert found.switches >= 0
