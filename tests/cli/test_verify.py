from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Vlbench
from tests.diverging.small import small_probe
from tests.trial.plans import MISBEHAVING, python_path
from vlbench.implementations.preprocessing import Preprocessing
from vlbench.workload.batch import grids_only
from vlbench.workload.library import BATCHES, batch_point


def test_a_wrong_variant_fails_with_exit_status_5(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vlbench", "verify", "--device", "cpu", "--with", "wrong-cos", "--quiet"],
        env=os.environ | {"PYTHONPATH": python_path(MISBEHAVING), "COLUMNS": "80", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    assert "wrong-cos: FAIL: not bit-exact in fp32" in done.stdout
    assert "1 of 2 passed on 11 batches" in done.stdout
    assert done.stdout.startswith("flags of vlbench's own qwen2.5-vl-")
    assert "verifying flags of qwen2.5-vl-" in done.stderr
    assert not any(line.startswith("baseline") for line in done.stdout.splitlines())


def test_a_tower_is_held_against_the_reference_tower_of_its_model(vlbench: Vlbench) -> None:
    files = ("--csv", "a.csv", "--junit", "a.xml")
    ended = vlbench("verify", "--device", "cpu", "--tower", "qwen2.5-vl-tiny+best", "--json", *files)
    assert ended.code == 0, ended
    names = ["qwen2.5-vl-tiny", "qwen2.5-vl-tiny+best"]
    assert [(row["name"], row["accuracy"]["passed"]) for row in ended.json()] == [(name, True) for name in names]
    first, _ = csv.DictReader(Path("a.csv").read_text().splitlines())
    assert (first["point"], first["exactness"], first["fp32_error"]) == ("11 batches", "reference", "0.0")
    assert "[11 batches]: " in Path("a.xml").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tower", "tests.towers.toys:Toy"], "--tower tests.towers.toys:Toy: nothing is known to hold it against"),
        (["--tower", "qwen2.5-vl-tiny+best", "--with", "best"], "--variant chooses among our own towers; leave it out"),
        (["--exactness", "ulp"], "--exactness is what the towers of --tower claim"),
    ],
)
def test_towers_that_cannot_be_verified(vlbench: Vlbench, options: list[str], words: str) -> None:
    assert words in vlbench("verify", "--device", "cpu", *options).sentence


def test_the_batches_are_what_they_are_called() -> None:
    grids = {name: grids_only(batch_point(name), 0, Preprocessing()) for name in BATCHES}
    assert grids["smallest"] == ((1, 2, 2),)
    assert grids["video"] == ((8, 12, 20),)
    assert grids["mixed"] == ((1, 16, 16), (6, 6, 10), (1, 2, 2), (2, 18, 18))
    assert len(set(grids["equal images"])) == 1


WHERE = ("verify", "--device", "cpu", "--where")


def test_where_two_towers_part_is_told_by_stage_block_and_token(
    vlbench: Vlbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_probe(monkeypatch)
    mistaken = "tests.diverging.injected:dropped_bias"
    ended = vlbench(*WHERE, "--tower", mistaken, "--against", "qwen2.5-vl-tiny")
    assert ended.code == 5, ended
    assert max(map(len, ended.out.splitlines())) <= 80
    told = " ".join(ended.out.split())
    assert f"{mistaken} against qwen2.5-vl-tiny, cpu" in told
    assert (
        "float32: they part at block[1].mlp, item 0, frame 0, row 0, column 0, window 0: 180 of 180 rows are off by"
        in told
    )
    assert any(line.split()[0] == "block[1].mlp" and "parts" in line for line in ended.out.splitlines() if line.strip())


def test_towers_that_do_not_part_end_with_0(vlbench: Vlbench, monkeypatch: pytest.MonkeyPatch) -> None:
    small_probe(monkeypatch)
    ended = vlbench(*WHERE, "--tower", "qwen2.5-vl-tiny+best", "--json")
    assert ended.code == 0, ended
    (found,) = ended.json()
    assert (found["tower"], found["reference"], found["verdict"]) == ("qwen2.5-vl-tiny+best", "qwen2.5-vl-tiny", "same")
    assert {run["mode"]: len(run["stages"]) for run in found["runs"]} == {"free-running": 41, "lock-step": 41}


def test_stages_are_dumped_and_a_dump_is_held_against(vlbench: Vlbench, monkeypatch: pytest.MonkeyPatch) -> None:
    small_probe(monkeypatch)
    ended = vlbench("verify", "--device", "cpu", "--tower", "qwen2.5-vl-tiny+best", "--dump", "stages")
    assert (ended.code, ended.out.split()) == (0, ["Written:", "stages/float32.safetensors"])
    ended = vlbench(*WHERE, "--tower", "qwen2.5-vl-tiny", "--against", "stages")
    assert ended.code == 0, ended
    assert "float32: they do not part." in ended.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--against", "qwen2.5-vl-tiny"], "--against qwen2.5-vl-tiny is what --where holds a --tower against"),
        (["--where", "--against", "hf:qwen2.5-vl-tiny"], "add --tower, or leave it out"),
        (["--where", "--tower", "qwen2.5-vl-tiny", "--against", "./nowhere"], "--against ./nowhere: no such folder"),
        (["--where", "--tower", "qwen2.5-vl-tiny", "--against", "."], "it has no float32.safetensors"),
        (["--where", "--tower", "tests.towers.toys:Toy", "--against", "tests.towers.toys:Toy"], "is given twice"),
        (["--where", "--tower", "tests.towers.toys:Toy"], "nothing is known to hold it against"),
        (["--dump", "a/b", "--with", "best"], "--dump a/b: the folder a does not exist"),
    ],
)
def test_what_where_cannot_be_asked(vlbench: Vlbench, options: list[str], words: str) -> None:
    assert words in vlbench("verify", "--device", "cpu", *options).sentence
