"""The plugin as pytest loads it: by its entry point, in processes of their own, beside other plugins."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.pytest_plugin.conftest import Run
from tests.trial.plans import ROOT, python_path

HEAVY = ("torch", "numpy", "pandas", "scipy", "pydantic", "transformers", "typer", "rich", "vlbench.record")

LOOKS = f"""
import sys

def test_unrelated():
    found = [name for name in {HEAVY} if name in sys.modules]
    assert not found
    assert "vlbench.pytest_plugin" in sys.modules
"""

MARKED = """
import pytest

@pytest.mark.vlbench(tower="towers:Waits", grid="1x4x6", max_syncs=3)
def test_within():
    pass

@pytest.mark.vlbench(tower="towers:Waits", grid="1x4x6", max_syncs=2)
def test_above():
    pass
"""


@pytest.fixture
def installed(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """vlbench with its entry points, as pip leaves them, for processes that are started from here."""
    entry_points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    folder = pytester.mkdir("site") / "vlbench-0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: vlbench\nVersion: 0\n")
    lines = (f"[{group}]\n{name} = {module}" for group, names in entry_points.items() for name, module in names.items())
    (folder / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.setenv("PYTHONPATH", python_path(folder.parent))
    monkeypatch.setenv("COLUMNS", "200")


def test_unrelated_tests_pay_nothing(
    pytester: pytest.Pytester, installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither when pytest starts, nor when they are collected, nor when they run."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(LOOKS)
    pytester.runpytest_subprocess("-p", "vlbench").assert_outcomes(passed=1)


@pytest.mark.slow
def test_a_worker_of_xdist_counts_a_job_once(pytester: pytest.Pytester, towers: Path, installed: None) -> None:
    pytest.importorskip("xdist")
    pytester.makepyfile(MARKED)
    result = pytester.runpytest_subprocess("-n", "1", "--strict-markers")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["host syncs 3, at most 2: towers:Waits on grid*", "  towers.py:*: grid_thw.tolist()"])
    assert Path("imports.log").read_text().splitlines() == ["imported"]


@pytest.mark.slow
def test_nonsense_is_a_sentence_under_xdist(pytester: pytest.Pytester, installed: None) -> None:
    pytest.importorskip("xdist")
    pytester.makepyfile(MARKED.replace("max_syncs=2", "max_sync=2"))
    result = pytester.runpytest_subprocess("-n", "1")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*::test_above: @pytest.mark.vlbench: there is no argument max_sync; did you mean *"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_it_can_be_switched_off(pytester: pytest.Pytester, towers: Path, installed: None) -> None:
    pytester.makepyfile(MARKED)
    pytester.runpytest_subprocess("-p", "no:vlbench").assert_outcomes(passed=2, warnings=2)
    assert not Path("imports.log").exists()


@pytest.mark.slow
def test_named_again_it_is_there_once(pytester: pytest.Pytester, installed: None) -> None:
    pytester.makepyfile("def test_it(vlbench_cell): pass")
    pytester.runpytest_subprocess("-p", "vlbench.pytest_plugin").assert_outcomes(passed=1, warnings=1)
    pytester.makeconftest("pytest_plugins = ['vlbench.pytest_plugin']")
    pytester.runpytest_subprocess().assert_outcomes(passed=1, warnings=1)


def test_without_pytest_benchmark_a_cell_says_what_is_missing(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("def test_it(vlbench_cell): vlbench_cell('best')")
    result = run("-p", "no:benchmark")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["vlbench_cell times with pytest-benchmark, which is missing or switched off; *"])


def test_pytest_knows_the_marker_and_the_fixtures(run: Run) -> None:
    run("--markers").stdout.fnmatch_lines(["@pytest.mark.vlbench(tower=*"])
    run("--fixtures").stdout.fnmatch_lines(["vlbench_counts *", "vlbench_cell *"])
