"""`vlbench ab` from its arguments to its exit status, in real repositories."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import pytest
import torch

import vlbench.implementations as ours
from tests.cli.conftest import Vlbench
from tests.repositories import commit, git, write
from tests.revisions.environments import like_this, program
from tests.revisions.packages import FILE, OLD_IMPLEMENTATIONS, ONE_MORE_SYNC, OTHER_OPERATOR, PACKAGE, changed
from vlbench.record.files import read_results
from vlbench.version import FOLDER

QUICK = ("--scenario", "small.toml", "--device", "cpu", "--trials", 1, "--budget", 1)


@pytest.fixture
def package(folder: Path) -> Path:
    """A repository with a package that registers an operator; its second commit has another, and one wait more."""
    commit(folder, {FILE: PACKAGE})
    commit(folder, {FILE: changed(OTHER_OPERATOR, ONE_MORE_SYNC)})
    return folder


def rows_of_a_quick_look(found: dict[str, Any]) -> dict[str, Any]:
    """By measure, of one pair whose HEAD waits once more."""
    rows = {row["measure"]: row for row in found["rows"]}
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "accuracy": "same",
        "time": "inconclusive",  # one pair is a quick look
        "counters": "regressed",
    }
    return rows


def test_a_package_in_lock_step_gives_rows_of_all_three_kinds(
    vlbench: Vlbench, package: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vlbench.revisions.lockstep.is_narrow", lambda *_: True)  # a few rounds are enough
    report, out = tmp_path_factory.mktemp("reports") / "report.md", tmp_path_factory.mktemp("out") / "samples.json"
    chosen = ("--tower", "towers:vision", "--exactness", "bit-exact", *QUICK)
    ended = vlbench("ab", "HEAD~1", "HEAD", *chosen, "--json", "--markdown", report, "--out", out)
    assert ended.code == 3, ended
    found = ended.json()
    rows = rows_of_a_quick_look(found)
    assert rows["counters"]["cell"] == "towers:vision small.toml bfloat16 sm_90"
    assert "host syncs rose from 0 to 1 in forward" in rows["counters"]["reason"]
    line = next(move for move in rows["counters"]["moves"] if move["kind"] == "line")
    assert (line["file"], line["after"]) == ("towers/__init__.py", 1)
    assert rows["time"]["before"] > 0
    assert rows["time"]["ratio"] > 0
    assert "in lock-step" in found["notes"][0]
    assert found["before"].startswith("HEAD~1 (")
    assert found["expected_false_rows"] is None  # of this way it is not known
    assert "host syncs" in report.read_text()
    assert git(package, "status", "--porcelain") == ""
    (group,) = read_results(out).groups
    assert group.model == "HEAD~1:towers:vision"
    (trial,) = group.trials
    assert [variant.name for variant in trial.variants] == ["BASE", "HEAD"]
    assert all(len(variant.timings["warm"].seconds) >= 6 and variant.stages for variant in trial.variants)


@pytest.mark.slow(20)
def test_a_tower_that_only_another_environment_has_is_held_against_one_of_ours(vlbench: Vlbench, folder: Path) -> None:
    python, packages = like_this(folder / "venv")
    write(folder, {"here.py": PACKAGE})
    write(packages, {"there.py": changed(OTHER_OPERATOR, ONE_MORE_SYNC)})
    chosen = ("--tower", "here:vision", "--head-tower", "there:vision", *QUICK)
    ended = vlbench("ab", "--python", python, *chosen, "--out", "samples.json", "--json")
    assert ended.code == 3, ended
    found = ended.json()
    rows = rows_of_a_quick_look(found)
    versions = f"(Python {'.'.join(map(str, sys.version_info[:3]))}, torch {torch.__version__}, transformers "
    assert found["before"].startswith(f"{sys.executable} {versions}")
    assert found["after"].startswith(f"{python} {versions}")
    assert found["after"].endswith("), there:vision")
    assert "host syncs rose from 0 to 1 in forward, at there.py" in rows["counters"]["reason"]
    assert "each environment ran in a process of its own, in lock-step" in found["notes"][0]
    assert found["notes"][1].startswith("no version differs; both have the same Python, torch, transformers")
    (group,) = read_results(Path("samples.json")).groups
    assert [row.tower for row in group.rows] == [found["before"], found["after"]]


def test_of_two_interpreters_the_first_is_base(vlbench: Vlbench, folder: Path) -> None:
    """Both answer as a Python does, and end where they are to measure; then they say something else there."""
    chosen = ("ab", "--python", "./old", "--python", "./new", "--tower", "my_tower:Tower", "--no-counters", *QUICK)
    code = {"code": str(FOLDER.resolve() / "__init__.py")}

    def answer(measuring: str) -> None:
        for name, version in (("old", "2.12.0"), ("new", "2.13.0")):
            told = json.dumps({**code, "lacks": [], "gpu": False, "versions": {"torch": version}})
            answers = f"""echo "$2"3.12.1; echo "$2"'{told}'"""
            program(folder / name, f"case \"$*\" in *answer.py*) {answers};; *) echo '{measuring}';; esac")

    answer(json.dumps(code))
    ended = vlbench(*chosen, "--json")
    assert ended.code == 6, ended
    found = ended.json()
    assert found["before"] == "./old (Python 3.12.1, torch 2.12.0)"
    assert found["after"] == "./new (Python 3.12.1, torch 2.13.0)"
    answer("hello")
    told = vlbench(*chosen).sentence
    assert told.startswith(f"BASE, {folder}/old: it was asked which vlbench it runs, and said 'hello'; name an")


@pytest.mark.slow
def test_our_own_towers_share_a_process_and_a_wrong_one_is_caught(vlbench: Vlbench, folder: Path) -> None:
    """A constant of the plan is changed, uncommitted."""
    copytree(Path(ours.__file__).parent, folder / "implementations", ignore=ignore_patterns("__pycache__"))
    commit(folder, {})
    rope = folder / "implementations/optimized/rope.py"
    assert "THETA = 10000.0" in rope.read_text()
    write(folder, {"implementations/optimized/rope.py": rope.read_text().replace("THETA = 10000.0", "THETA = 9000.0")})
    ended = vlbench("ab", "main", ".", "--tower", "qwen2.5-vl-tiny+best", "--no-counters", *QUICK)
    assert ended.code == 5, ended
    said = " ".join(ended.out.split())
    assert "the working tree (at " in said
    assert "INACCURATE accuracy: qwen2.5-vl-tiny+best small float32 cpu" in said
    assert "held against the reference tower: error" in said
    assert "counters were left out, as --no-counters asks" in said
    assert "both revisions shared one process and its rounds" in said
    assert "INACCURATE: 1 inaccurate; exit code 5" in said


def test_a_revision_from_before_towers_said_what_they_are_fed_is_refused(vlbench: Vlbench, folder: Path) -> None:
    commit(folder, OLD_IMPLEMENTATIONS)
    sentence = vlbench("ab", "main", ".").sentence
    assert "main:implementations has no module preprocessing and no module output, so it does not say" in sentence


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("HEAD", "nowhere"), "'nowhere' is no revision of"),
        (("HEAD~1", "HEAD"), "has no package 'implementations' here, nor in src or python; name a factory"),
        (("HEAD~1", "HEAD", "--tower", "others:make"), "HEAD~1 ("),
        (("HEAD~1", "HEAD", "--tower", "hf:qwen2.5-vl-7b"), "its code is the same in every revision"),
        (("HEAD~1", "HEAD", "--exactness", "nearly"), "--exactness: 'nearly' is not one of bit-exact, ulp"),
        (("HEAD~1", "HEAD", "--exactness", "ulp"), "--exactness is for a factory; leave it out"),
        (("HEAD~1", "HEAD", "--tower", "towers:vision", "--scenario", "nowhere.toml"), "nowhere.toml"),
        (
            ("HEAD~1", "HEAD", "--out", "nowhere/results.json"),
            "--out nowhere/results.json: the folder nowhere does not",
        ),
        (("HEAD",), "two sides are compared; name two revisions, such as main HEAD, or give --python"),
        (("HEAD", "--python", "python"), "BASE says nothing beside --python; leave it out"),
        (
            ("--python", "a", "--python", "b", "--python", "c"),
            "--python: 3 interpreters are named, and two are compared",
        ),
        (("--python", "a", "--tower", "b:c"), "b cannot be imported"),
        (
            ("--python", "a", "--tower", "qwen2-vl-2b", "--tower", "qwen2-vl-7b", "--head-tower", "f:g"),
            "it stands beside one --tower",
        ),
        (("--python", "no-such-python"), "--python no-such-python: there is no such file and no program of that name"),
        (("HEAD~1", "HEAD", "--head-tower", "a:b"), "--head-tower says nothing without --python; leave it out"),
        (("HEAD~1", "HEAD", "--csv", "nowhere/rows.csv"), "--csv nowhere/rows.csv"),
    ],
)
def test_wrong_input_is_one_sentence(
    vlbench: Vlbench, package: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    assert sentence in vlbench("ab", *arguments).sentence
