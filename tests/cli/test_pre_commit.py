"""The hook `vlbench-count`, run by pre-commit itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.gated import SYNC, git, make_repository
from tests.repositories import begin_here

ROOT = Path(__file__).parents[2]
CONFIG = """
repos:
  - repo: {repo}
    rev: {revision}
    hooks:
      - id: vlbench-count
        args: [--tower, "towers:{tower}", --grid, 1x4x6{more}]
"""


def test_the_manifest_is_one() -> None:
    from pre_commit.clientlib import load_manifest

    (hook,) = load_manifest(ROOT / ".pre-commit-hooks.yaml")
    assert (hook["id"], hook["pass_filenames"], hook["types"]) == ("vlbench-count", False, ["python"])
    assert hook["language"] in ("system", "unsupported")  # what newer releases call it


@pytest.mark.slow
def test_it_counts_the_tower_and_fails_where_it_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hooks").mkdir()
    monkeypatch.chdir(tmp_path / "hooks")
    begin_here()
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", ".")
    git("add", "--all")
    git("commit", "--quiet", "-m", "hooks")
    revision = git("rev-parse", "HEAD")
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    make_repository(Path())
    text = Path("towers.py").read_text()
    Path("towers.py").write_text(text.replace("return x + self.proj(x)  # LAYER", SYNC))

    def run(tower: str, more: str = "") -> tuple[int, str]:
        config = CONFIG.format(repo=tmp_path / "hooks", revision=revision, tower=tower, more=more)
        Path(".pre-commit-config.yaml").write_text(config)
        git("add", "--all")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        env = os.environ | {"PATH": path, "PRE_COMMIT_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "pre_commit", "run", "--all-files"]
        done = subprocess.run(command, capture_output=True, text=True, env=env)
        return done.returncode, done.stdout + done.stderr

    code, said = run("Tower", ", --where")
    assert (code, "towers.py:" in said, "3x read-back" in said) == (0, True, True), said
    code, said = run("Tower", ", --capture")
    assert (code, "- exit code: 3" in said) == (1, True), said
    code, said = run("Nowhere")
    assert (code, "- exit code: 2" in said) == (1, True), said
