"""The version: from git's tags where there are any, and something to say where there are none."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import vlbench.version as module
from tests.repositories import begin_here, git

ROOT = Path(__file__).parents[1]


def built(folder: Path) -> str:
    """The version that a build in `folder` would take."""
    command = [sys.executable, "-m", "setuptools_scm", "--root", str(folder)]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of two commits that is built as this one is; it is the current folder."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    monkeypatch.chdir(folder)
    begin_here()
    (folder / "vlbench").mkdir()
    for name in ("pyproject.toml", ".gitignore", ".gitattributes", ".git_archival.txt"):
        shutil.copy(ROOT / name, folder / name)
    for number in "12":
        (folder / "vlbench/__init__.py").write_text(number)
        git(folder, "add", "--all")
        git(folder, "commit", "-m", number)
    return folder


def archive(checkout: Path, tmp_path: Path) -> Path:
    """What a forge hands out as the source of a revision."""
    git(checkout, "archive", "--output", str(tmp_path / "source.tar"), "HEAD")
    with tarfile.open(tmp_path / "source.tar") as tar:
        tar.extractall(tmp_path / "archive", filter="data")
    return tmp_path / "archive"


@pytest.mark.slow(4)
def test_a_tag_is_the_version_of_a_checkout_and_of_an_archive(checkout: Path, tmp_path: Path) -> None:
    pytest.importorskip("setuptools_scm")
    git(checkout, "tag", "v1.2.3")
    assert built(checkout) == "1.2.3"
    assert built(archive(checkout, tmp_path)) == "1.2.3"


@pytest.mark.slow(4)
def test_without_a_tag_there_is_a_version_all_the_same(checkout: Path, tmp_path: Path) -> None:
    pytest.importorskip("setuptools_scm")
    git(tmp_path, "clone", "--depth", "1", f"file://{checkout}", "shallow")
    for folder in (checkout, tmp_path / "shallow"):
        assert re.fullmatch(r"0\.\d+(\.\d+)?\.dev\d+\+g[0-9a-f]{7,}.*", built(folder)), folder.name
    assert built(archive(checkout, tmp_path)) == "0.0"
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(ROOT / "pyproject.toml", copy)
    assert built(copy) == "0.0.0"


def test_what_the_build_wrote_comes_before_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    (tmp_path / "version.txt").write_text("1.2.3\n")
    assert module._version() == "1.2.3"
    (tmp_path / "version.txt").unlink()
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"{name} as installed")
    assert module._version() == "vlbench as installed"


def test_code_that_nobody_built_or_installed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert module._version() == "0.0.0"
