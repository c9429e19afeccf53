"""What `gate init` writes, run as GitHub runs it: a fresh clone, a fresh virtual environment, real installations."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from tests.repositories import written_by
from tests.test_package import copy_source
from tests.trial.plans import MISBEHAVING
from vlbench.record.files import read_results

pytestmark = pytest.mark.slow(30)
TOWERS = """
from extra_widths import WIDTH
from torch import nn


class Tower(nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = nn.Linear(1176, WIDTH)

    def forward(self, pixels, grid_thw):
        return self.proj(pixels).view(-1, 4, WIDTH).mean(1)


class Other(Tower):
    pass
"""
WAIT = "        if grid_thw[:, 0].max() > 1:\n            pixels = pixels * 1\n"
PROJECT = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
PROJECT += '[project]\nname = "{0}"\nversion = "1"\n[tool.setuptools]\npy-modules = ["{0}"]\n'
INIT = "vlbench gate init our_towers:{} --grid 1x4x6 --as sm_90 --reason 'First counts.'"


@dataclass
class Machine:
    """A virtual environment that has what this one has, torch and pip among it, but not vlbench."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Machine:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        torch = find_spec("torch")
        assert torch
        assert torch.origin
        (site,) = folder.glob("lib/python*/site-packages")
        (site / "rest.pth").write_text(f"{Path(torch.origin).parents[1]}\n")  # its own .pth files are not read
        pip = folder / "bin" / "pip"
        pip.write_text('#!/bin/sh\nexec python -m pip "$@"\n')
        pip.chmod(0o755)
        return cls(folder)

    def run(self, command: str, folder: Path, *, exit: int = 0) -> str:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        own = {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip means: no isolation, and so no download of setuptools
            "GITHUB_BASE_REF": "main",
            **written_by("Ada"),
        }
        done = subprocess.run(
            ["bash", "-e", "-c", command], cwd=folder, env=kept | own, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == exit, f"{command}\n{done.stdout}{done.stderr}"
        return " ".join((done.stdout + done.stderr).split())


def workflow(machine: Machine, clone: Path, *, last: bool = False, exit: int = 0) -> str:
    """What the runner does of the one workflow in a clone, or the last step of it; what the last one printed."""
    (path,) = (clone / ".github" / "workflows").iterdir()
    read = yaml.safe_load(path.read_text())
    folder = clone / read.get("defaults", {}).get("run", {}).get("working-directory", ".")
    steps = [step["run"] for step in read["jobs"]["gate"]["steps"] if "run" in step]
    for step in [] if last else steps[:-1]:
        machine.run(step, folder)
    return machine.run(steps[-1], folder, exit=exit)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """vlbench, to be built and installed from."""
    folder = tmp_path / "source"
    folder.mkdir()
    return copy_source(folder)


def make_project(folder: Path) -> None:
    """A package with a requirement that no index has."""
    extra = folder / "libs"
    extra.mkdir(parents=True)
    (extra / "pyproject.toml").write_text(PROJECT.format("extra_widths"))
    (extra / "extra_widths.py").write_text("WIDTH = 32\n")
    (folder / "requirements.txt").write_text("./libs\n")
    (folder / "pyproject.toml").write_text(PROJECT.format("our_towers"))
    (folder / "our_towers.py").write_text(TOWERS)
    (folder / ".gitignore").write_text("build\n*.egg-info\n__pycache__\n")


def measures_away_from_the_source(user: Machine, folder: Path) -> None:
    patient = f"PYTHONPATH={shlex.quote(str(MISBEHAVING))}"  # a budget bounds the rounds alone
    user.run(f"{patient} vlbench run --no-card --device cpu --budget 2 --with best --out run.json", folder)
    results = read_results(folder / "run.json")
    assert results.fingerprint.revision is None  # so it is not the checkout that ran
    assert [row.name for row in results.groups[0].rows] == ["baseline", "best"]
    assert all(variant.timings for variant in results.groups[0].trials[0].variants)


@pytest.mark.slow(90)
def test_a_wheel_in_a_monorepo_from_the_first_pull_request_to_one_that_waits(source: Path, tmp_path: Path) -> None:
    user, runner = Machine.make(tmp_path / "user"), Machine.make(tmp_path / "runner")
    user.run(f"pip wheel --no-deps --wheel-dir {tmp_path / 'wheels'} {source}", tmp_path)
    user.run(f"pip install {tmp_path / 'wheels'}/*.whl", tmp_path)
    measures_away_from_the_source(user, tmp_path)
    top, clone = tmp_path / "mono", tmp_path / "clone"
    folder = top / "services" / "vision"
    make_project(folder)
    user.run("pip install -r requirements.txt -e .", folder)

    def propose(branch: str, command: str) -> None:
        user.run(f"git checkout -q -b {branch} main && {command}", folder)
        user.run(f"git add --all :/ && git commit -q -m {branch}", folder)
        runner.run(f"git fetch -q origin && git checkout -q origin/{branch}", clone)

    user.run("git init -q -b main . && git add --all && git commit -q -m before", top)
    user.run(f"git clone -q {top} {clone}", tmp_path)
    propose("first", INIT.format("Tower"))
    assert "this is the first" in workflow(runner, clone)
    user.run("git checkout -q main && git merge -q first", top)
    runner.run("git fetch -q origin", clone)
    propose("second", INIT.format("Other"))
    assert "PASSED" in workflow(runner, clone, last=True)
    assert "2 passed" in runner.run("python -m pytest -q -p no:cacheprovider", clone), (
        "from the top, as from its folder"
    )
    user.run("git checkout -q main && git merge -q second", top)
    (tmp_path / "waits.py").write_text(TOWERS.replace("        return", f"{WAIT}        return"))
    propose("wait", f"cp {tmp_path / 'waits.py'} our_towers.py")
    assert "our_towers.py:" in workflow(runner, clone, last=True, exit=3)


@pytest.mark.parametrize("how", ["git+file://{}", "--editable {}"])
def test_from_git_or_in_place_in_a_repository_of_its_own(source: Path, tmp_path: Path, how: str) -> None:
    user, runner = Machine.make(tmp_path / "user"), Machine.make(tmp_path / "runner")
    user.run("git init -q . && git add --all && git commit -q -m vlbench", source)
    user.run(f"pip install {how.format(shlex.quote(str(source)))}", tmp_path)
    top, clone = tmp_path / "own", tmp_path / "clone"
    make_project(top)
    (top / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    user.run("pip install -r requirements.txt", top)
    user.run("git init -q -b main . && git add --all && git commit -q -m before && git checkout -q -b first", top)
    said = user.run(INIT.format("Tower"), top)
    assert f"vlbench.yml installs {'git+file://' * how.startswith('git')}{source}" in said
    assert ", which no other machine has; name what a runner reaches" in said
    user.run("git add --all && git commit -q -m first", top)
    user.run(f"git clone -q {top} {clone}", tmp_path)
    assert "this is the first" in workflow(runner, clone)
