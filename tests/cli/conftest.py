from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.cli.gated import FILE, TOWER_NAMES, commit, make_repository
from tests.trial.plans import work_in
from vlbench.cli import main
from vlbench.export import progress
from vlbench.gating.manifest import enlist
from vlbench.record.baseline_files import read_baseline


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """What a wrong command says: one line on stderr, which begins with `error: `."""
        assert self.code == 2, self
        (line,) = self.err.splitlines()
        assert line.startswith("error: "), line
        return line.removeprefix("error: ")


Vlbench = Callable[..., Ended]
built = cache(typer.main.get_command)
"""The program as its parser sees it, made once: that takes 40 ms."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory but for a tiny scenario, `small.toml`; child processes find vlbench from there."""
    work_in(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture
def vlbench(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Vlbench:
    """Runs the program in this process, from its arguments to its exit status."""
    for name, value in {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(progress, "FIRST", 1e6)  # what a command says while it works depends on the machine
    monkeypatch.setattr(typer.main, "get_command", built)

    def call(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["vlbench", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capfd.readouterr()
        assert isinstance(end.value.code, int | None)
        return Ended(end.value.code or 0, out, err)

    return call


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test that needs a counted baseline keeps it for the others."""
    return tmp_path_factory.mktemp("stored") / "toy.json"


@pytest.fixture
def gated(vlbench: Vlbench, folder: Path, stored: Path) -> Path:
    """The baseline of three towers on one scenario, in a repository that is all committed."""
    make_repository(folder)
    if not stored.exists():
        towers = [word for name in TOWER_NAMES for word in ("--tower", f"towers:{name}")]
        ended = vlbench("baseline", "save", FILE, *towers, "--scenario", "small.toml", "--reason", "it is new")
        assert ended.code == 0, ended
        assert f"{FILE}: 3 cells, saved by Ada; commit it" in " ".join(ended.out.split())
        shutil.copy(FILE, stored)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(stored, FILE)
    enlist(FILE, read_baseline(FILE))
    commit()
    return FILE
