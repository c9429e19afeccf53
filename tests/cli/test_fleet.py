"""`vlbench fleet` where it is given something wrong; tests/api/test_fleet.py has the rest."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from tests.cli.conftest import Vlbench
from tests.matrix.planned import lines, part, written


@pytest.fixture
def planned(vlbench: Vlbench, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(sys.modules, "ray", None)  # as where it is not installed
    plan = "plan --scenario small.toml --with exact --device cpu -o plan.jsonl"
    assert vlbench(*plan.split()).code == 0
    return folder / "plan.jsonl"


def test_what_is_wrong_is_told_in_a_sentence(vlbench: Vlbench, planned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("full").mkdir()
    Path("full/notes.txt").touch()
    Path("cut.jsonl").write_text(planned.read_text()[:-40])
    others = written(Path("full"), **{"vlbench-shard-1-of-1": part(lines(1), "1/1", 1)})
    wrong = {
        "plan.jsonl --ray auto": "--ray: Ray is not installed; pip install 'vlbench[ray]'",
        "none.jsonl --ray auto": "none.jsonl: no such file; print one with `vlbench plan --out none.jsonl`",
        "cut.jsonl --ray auto": "cut.jsonl, line 1: not JSON",
        "plan.jsonl --ray auto --shards 2": "--shards 2: the plan has 1 group, which stays whole; take 1 part",
        "plan.jsonl --ray auto -o full": "--out full: not empty; --resume keeps its parts, --force replaces them",
        "plan.jsonl --ray auto -o plan.jsonl": "--out plan.jsonl: a file; name a folder",
        "plan.jsonl --ray auto -o no/where": "--out no/where: the folder no does not exist",
        "plan.jsonl --ray auto --resume": "--resume goes on with the parts in a folder; name it with --out",
        "plan.jsonl --ray auto --resume -o new": "--resume: there is no folder new with parts to go on with",
        "plan.jsonl --ray auto --resume -o full": f"--resume: {others[0]} is no part of this plan",
        "plan.jsonl --ray auto --silence nan": "--silence: nan is not a number from 5",
    }
    for options, told in wrong.items():
        assert told in vlbench("fleet", *options.split()).sentence, options
    others[0].rename("full/vlbench-shard-1-of-3.json")
    ended = vlbench("fleet", "plan.jsonl", "--ray", "auto", "--resume", "--out", "full")
    assert "vlbench-shard-1-of-3.json is one of 3 parts, not of 1; give --shards 3" in ended.sentence
    assert not Path("new").exists()
    Path("small.toml").write_text(Path("small.toml").read_text().replace("4x6", "4x8"))
    assert "Ray is not installed" in vlbench("fleet", "plan.jsonl", "--ray", "auto").sentence, "before it is planned"
    there = ModuleType("ray")
    there.__spec__ = ModuleSpec("ray", None)
    monkeypatch.setitem(sys.modules, "ray", there)
    ended = vlbench("fleet", "plan.jsonl", "--ray", "auto")
    assert (ended.code, "would be something else here: its files differ" in ended.err) == (6, True)
