"""Where nsys is looked for, and what the doctor reads from it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from vlbench.nsys import command, doctor


def stand_in(path: Path, text: str = "NVIDIA Nsight Systems version 2026.2.1.210-262137639646v0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{text}'\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_the_variable_comes_first_and_the_path_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, on_path = stand_in(tmp_path / "chosen" / "nsys"), stand_in(tmp_path / "bin" / "nsys")
    monkeypatch.setenv("PATH", str(on_path.parent))
    monkeypatch.delenv(command.VARIABLE, raising=False)
    assert command.find_nsys() == on_path
    monkeypatch.setenv(command.VARIABLE, str(chosen))
    assert command.find_nsys() == chosen
    monkeypatch.setenv(command.VARIABLE, str(tmp_path / "none"))
    assert command.find_nsys() is None


def test_the_newest_installed_release_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for release in ("2024.6.2", "2026.1.1", "2025.10.1"):
        stand_in(tmp_path / "nsight-systems" / release / "bin" / "nsys")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(command.VARIABLE, raising=False)
    monkeypatch.setattr(command, "_INSTALLED", (str(tmp_path / "nsight-systems*" / "*" / "bin" / "nsys"),))
    found = command.find_nsys()
    assert found is not None
    assert found.parts[-3] == "2026.1.1"


def test_version(tmp_path: Path) -> None:
    assert command.version(stand_in(tmp_path / "nsys")) == "2026.2.1.210"
    assert command.version(tmp_path / "none") == ""


def test_the_doctor_names_missing_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nsys = stand_in(tmp_path / "nsys", "version 2021.1 --capture-range= --cpuctxsw=")
    monkeypatch.setenv(command.VARIABLE, str(nsys))
    checks = {check.name: check for check in doctor.examine()}
    assert checks["nsys"].ok
    assert checks["nsys options"].found == "lacks --capture-range-end, --cuda-graph-trace"
    assert not checks["environment"].ok
    assert checks["environment"].code == 0  # a note, not an obstacle


def test_the_doctor_reads_nvtx_disable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NVTX_DISABLE", "1")
    checks = {check.name: check for check in doctor.examine()}
    assert "unset it" in checks["nvtx"].remedy
