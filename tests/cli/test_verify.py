from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Vlbench
from tests.trial.plans import MISBEHAVING, python_path
from vlbench.implementations.preprocessing import Preprocessing
from vlbench.workload.batch import grids_only
from vlbench.workload.library import BATCHES, batch_point


def test_the_reference_tower_passes(vlbench: Vlbench) -> None:
    files = ("--csv", "a.csv", "--junit", "a.xml")
    ended = vlbench("verify", "--device", "cpu", "--with", "baseline", "--json", *files)
    assert ended.code == 0, ended
    (row,) = csv.DictReader(Path("a.csv").read_text().splitlines())
    assert (row["point"], row["exactness"], row["fp32_error"]) == ("11 batches", "reference", "0.0")
    assert "verify [11 batches]: " in Path("a.xml").read_text()
    assert [(row["name"], row["accuracy"]["passed"]) for row in ended.json()] == [("baseline", True)]


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
    assert not any(line.startswith("baseline") for line in done.stdout.splitlines())


def test_a_tower_is_held_against_the_reference_tower_of_its_model(vlbench: Vlbench) -> None:
    ended = vlbench("verify", "--device", "cpu", "--tower", "qwen2.5-vl-tiny+best", "--json")
    assert ended.code == 0, ended
    assert [row["name"] for row in ended.json()] == ["qwen2.5-vl-tiny", "qwen2.5-vl-tiny+best"]


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
