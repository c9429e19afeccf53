"""The task in Harbor's format: its files, and what its verifier gives, run here without a container."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import vlbench
from tests.trial.plans import python_path

ROOT = Path(vlbench.__file__).parents[1]
TASK = ROOT / "examples/harbor/vision-tower-waits"
SCRIPTS = sorted(TASK.rglob("*.sh"))


def test_the_files_of_the_task_are_whole() -> None:
    task = tomllib.loads((TASK / "task.toml").read_text())
    assert task.keys() == {"schema_version", "task", "metadata", "verifier", "agent", "environment"}
    assert task["task"]["name"] == f"vlbench/{TASK.name}"
    assert task["verifier"]["timeout_sec"] > 0
    assert (TASK / "instruction.md").read_text().strip()
    assert [path.relative_to(TASK).as_posix() for path in SCRIPTS] == [
        "environment/make_repository.sh",
        "solution/solve.sh",
        "tests/make_repository.sh",
        "tests/test.sh",
    ]
    for script in SCRIPTS:
        subprocess.run(["bash", "-n", script], check=True)
    built, judged = (TASK / folder / "make_repository.sh" for folder in ("environment", "tests"))
    assert built.read_text() == judged.read_text()
    copied = [
        line.split()[1] for line in (TASK / "environment/Dockerfile").read_text().splitlines() if line[:5] == "COPY "
    ]
    assert [name for name in copied if not (TASK / "environment" / name).exists()] == ["vlbench-*.whl"]


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for /app and /logs; `vlbench` and `python` are those of here."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, words in {"python": "", "vlbench": "-P -m vlbench"}.items():
        (programs / name).write_text(f'#!/bin/bash\nexec {sys.executable} {words} "$@"\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", python_path())
    monkeypatch.setenv("APP", str(tmp_path / "app"))
    monkeypatch.setenv("LOGS", str(tmp_path / "logs"))
    run("tests/make_repository.sh", tmp_path / "app")
    return tmp_path


def run(script: str, *words: object) -> str:
    done = subprocess.run(["bash", TASK / script, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow(25)
def test_the_verifier_rewards_as_is_written_down(task: Path) -> None:
    written = tomllib.loads((TASK / "task.toml").read_text())["metadata"]
    reward = task / "logs/reward.txt"
    assert run("tests/test.sh") == "nothing was changed\n"
    assert float(reward.read_text()) == written["reward_untouched"] == 0
    run("solution/solve.sh")
    subprocess.run(["git", "-C", task / "app", "tag", "--force", "base", "HEAD"], check=True, capture_output=True)
    subprocess.run(["git", "-C", task / "app", "add", "--all"], check=True)  # what git knows there is not asked
    assert run("tests/test.sh").startswith("improved, less-asked, reward ")
    assert float(reward.read_text()) == written["reward_of_the_solution"] > 0.3
