"""The wheel: everything that is needed is in it, nothing else, and it works away from the source."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import vlbench
from tests.trial.plans import MISBEHAVING
from vlbench.record.files import read_results

ROOT = Path(vlbench.__file__).parents[1]
SOURCE = ("pyproject.toml", "README.md", "LICENSE", "vlbench", "implementations", "scenarios", "results")


def copy_source(folder: Path) -> Path:
    """What is needed to build vlbench, in `folder`."""
    for name in SOURCE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that the checkout stays as it is."""
    for needed in ("build", "setuptools"):
        pytest.importorskip(needed)
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("needs a checkout")
    copy, out = copy_source(tmp_path_factory.mktemp("source")), tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(copy)]
    subprocess.run(build, check=True, capture_output=True)
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*pip, "--target", str(target), str(wheel)], check=True, capture_output=True)
    return target


def test_the_wheel_holds_every_file_of_the_source(wheel: Path) -> None:
    """Modules and data alike, through the links as well."""
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("vlbench/")}
    kept = {".py", ".toml", ".json", ".jpg", ".md", ".typed"}
    wanted = set()
    for folder, _, names in os.walk(ROOT / "vlbench", followlinks=True):
        for name in names:
            path = Path(folder) / name
            if path.suffix in kept or name == "py.typed":
                wanted.add(path.relative_to(ROOT).as_posix())
    assert "vlbench/implementations/optimized/best.toml" in wanted
    assert "vlbench/scenarios/photos/astronaut.jpg" in wanted
    assert "vlbench/scenarios/servegen.json" in wanted
    assert sorted(wanted - inside) == []


def test_nothing_generic_lands_at_the_top_of_site_packages(installed: Path) -> None:
    top = {path.name for path in installed.iterdir()} - {"bin"}
    assert top == {"vlbench", f"vlbench-{vlbench.__version__}.dist-info"}
    assert not any(path.is_symlink() for path in installed.rglob("*"))


def run_installed(path: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vlbench", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )


def test_it_lists_away_from_the_source(installed: Path, tmp_path: Path) -> None:
    assert "multi-image" in run_installed(str(installed), tmp_path, "list", "scenarios").stdout


@pytest.mark.slow
def test_it_measures_away_from_the_source(installed: Path, tmp_path: Path) -> None:
    path = f"{installed}{os.pathsep}{MISBEHAVING}"  # with more time than the budget, however busy the machine is
    run_installed(path, tmp_path, "run", "--no-card", "--device", "cpu", "--budget", "2", "--with", "best")
    results = read_results(tmp_path / "vlbench-multi-image.json")
    assert results.fingerprint.revision is None  # so it is not the checkout that ran
    assert [row.name for row in results.groups[0].rows] == ["baseline", "best"]
    assert all(variant.timings for variant in results.groups[0].trials[0].variants)
