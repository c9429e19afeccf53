"""The wheel: everything that is needed is in it, nothing else, and it works away from the source."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import vlbench

ROOT = Path(vlbench.__file__).parents[1]
BUILT_BY = ("pyproject.toml", "setup.py", "MANIFEST.in")
SOURCE = (*BUILT_BY, "README.md", "LICENSE", "vlbench", "implementations", "scenarios", "results")


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
    return build(copy_source(tmp_path_factory.mktemp("source")), tmp_path_factory.mktemp("wheel"), "--wheel")


def build(source: Path, out: Path, *kind: str) -> Path:
    """The wheel of `source`, made of its sdist unless `kind` is --wheel; in a folder without git's tags."""
    for needed in ("build", "setuptools", "setuptools_scm"):
        pytest.importorskip(needed)
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("needs a checkout")
    command = [sys.executable, "-m", "build", *kind, "--no-isolation", "--outdir", str(out), str(source)]
    env = os.environ | {"SETUPTOOLS_SCM_PRETEND_VERSION": vlbench.__version__}
    subprocess.run(command, check=True, capture_output=True, env=env)
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
    kept = {".py", ".toml", ".json", ".jpg", ".md", ".typed", ".gz", ".jinja", ".css", ".js"}
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


def test_its_page_on_an_index_has_links_that_lead_somewhere(installed: Path) -> None:
    (told,) = (path.read_text() for path in installed.glob("*.dist-info/METADATA"))
    links = re.findall(r"\]\(([^)#\s]+)", told[told.index("# vlbench") :])
    assert "https://github.com/vlbench/vlbench/raw/main/docs/multi-image.svg" in links
    assert [link for link in links if not link.startswith("https://")] == []


@pytest.mark.slow(10)
def test_a_wheel_made_of_the_sdist_holds_the_same(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    again = build(copy_source(tmp_path / "copy"), tmp_path / "out")
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


def test_nothing_generic_lands_at_the_top_of_site_packages(installed: Path) -> None:
    top = {path.name for path in installed.iterdir()} - {"bin"}
    assert top == {"vlbench", f"vlbench-{vlbench.__version__}.dist-info"}
    assert not any(path.is_symlink() for path in installed.rglob("*"))


def test_it_lists_away_from_the_source(installed: Path, tmp_path: Path) -> None:
    """tests/gating/test_init_runs.py has a run of one that is installed."""
    env = os.environ | {"PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "vlbench", "list", "scenarios"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert "multi-image" in done.stdout
