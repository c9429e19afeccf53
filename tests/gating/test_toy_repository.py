"""A toy repository put under the gate by the README alone, and the pull request that it stops."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.cli.pages import commands, not_printed
from tests.repositories import written_by

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
GATE = README[README.index("## Fail the change that adds a wait") :]
ENVIRONMENT = {**os.environ, **written_by("A Dev"), "PYTHONPATH": str(ROOT)}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = shlex.split(command)
    program = [sys.executable, "-m", "vlbench"] if words[0] == "vlbench" else [words[0]]
    if words[0] == "pytest":
        program = [sys.executable, "-m", "pytest", "-p", "vlbench.pytest_plugin"]
    return subprocess.run([*program, *words[1:]], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tower of the README, and the README's commands run over it."""
    folder = tmp_path_factory.mktemp("toy")
    (tower,) = (block for block in blocks(README, "python") if block.startswith("# my_tower.py"))
    (folder / "my_tower.py").write_text(tower)
    run("git init --quiet", folder)
    for line in blocks(GATE, "console")[0].splitlines():
        done = run(line.removeprefix("$ "), folder)
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    return folder


def workflow(folder: Path, base: str) -> subprocess.CompletedProcess[str]:
    """What the runner does last of the workflow that `gate init` wrote, on a pull request to `base`."""
    steps = yaml.safe_load((folder / ".github/workflows/vlbench.yml").read_text())["jobs"]["gate"]["steps"]
    called = f'vlbench() {{ "{sys.executable}" -m vlbench "$@"; }}\n'
    environment = ENVIRONMENT | {"GITHUB_BASE_REF": base}
    command = ["bash", "-e", "-c", called + steps[-1]["run"]]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.slow(30)
def test_the_workflow_judges_a_pull_request_in_a_fresh_clone_by_what_its_base_holds(
    repository: Path, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    run("git branch before", repository)
    run(f"git clone --quiet {shlex.quote(str(repository))} {shlex.quote(str(clone))}", tmp_path)
    run("git checkout --quiet --orphan empty", clone)
    run("git rm --quiet -r --cached .github results", clone)
    run("git commit --quiet --message before", clone)
    run("git update-ref refs/remotes/origin/before empty", clone)
    run("git add --all", clone)
    run("git commit --quiet --message first", clone)
    first = workflow(clone, "before")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "this is the first" in " ".join(first.stdout.split())
    run("git checkout --quiet -B change origin/HEAD", clone)
    source = clone / "my_tower.py"
    before = "        return "
    source.write_text(source.read_text().replace(before, blocks(GATE, "python")[0] + before, 1))
    main = run("git rev-parse --abbrev-ref origin/HEAD", clone).stdout.strip().removeprefix("origin/")
    run("git commit --quiet --all --message wait", clone)
    assert workflow(clone, main).returncode == 3
    run("git rm --quiet -r results", clone)
    run("git commit --quiet --all --message hide", clone)
    hidden = workflow(clone, main)
    assert hidden.returncode == 6, hidden.stdout + hidden.stderr
    assert "renamed, moved or deleted?" in hidden.stdout


@pytest.mark.slow(30)
def test_the_pull_request_with_a_hidden_wait_fails_and_the_line_is_named(repository: Path) -> None:
    source = repository / "my_tower.py"
    before = "        return "
    added = blocks(GATE, "python")[0]
    source.write_text(source.read_text().replace(before, added + before, 1))
    number = source.read_text().splitlines().index(added.splitlines()[0]) + 1
    said = [each for page in ("README.md", "docs/reports.md") for each in commands(page) if "gate" in each.text][-2:]
    try:
        gate = run(said[-1].text, repository)
        assert gate.returncode == 3, gate.stdout + gate.stderr
        test = run("pytest --quiet tests", repository)
        assert test.returncode == 1, test.stdout + test.stderr
    finally:
        run("git checkout my_tower.py", repository)
    for out in (gate.stdout, test.stdout):
        assert f"my_tower.py:{number}" in out
    for command in said:  # the README shows the command without its options
        assert not_printed(command.shown, gate.stdout) == []
