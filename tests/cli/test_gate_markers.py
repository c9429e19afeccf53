"""`vlbench gate --base` and the limits in the markers of tests, which the change does not choose either."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Ended, Vlbench
from tests.cli.gated import FILE, LAYER, SYNC, commit, git, keep_one_tower, write_towers
from vlbench.api.defaults import Defaults
from vlbench.api.markers import marker_rows
from vlbench.gating.base import base_of
from vlbench.judging.judged import JudgedRow

TEST = Path("tests/test_limits.py")
MARKED = """import pytest

GRIDS = ["1x4x6"]


@pytest.mark.vlbench(grid=GRIDS, max_read_backs=4)
class TestTower:
    @pytest.mark.vlbench(tower="towers:Tower", max_syncs=0)
    def test_it_does_not_wait(self, vlbench_gate):
        pass
"""


@pytest.fixture
def marked(vlbench: Vlbench, gated: Path) -> Path:
    """`main` limits its tower; the branch that is checked out may not change that."""
    keep_one_tower()
    TEST.parent.mkdir()
    TEST.write_text(MARKED)
    commit()
    git("branch", "--move", "main")
    git("checkout", "--quiet", "-b", "change")
    return TEST


def judged(*, accepts: bool = True) -> tuple[str, str]:
    (row,) = rows(accepts=accepts)
    assert row.cell == "tests/test_limits.py::TestTower::test_it_does_not_wait: towers:Tower 1x4x6"
    return row.verdict.value, row.reason


def rows(*, accepts: bool = True) -> list[JudgedRow]:
    return marker_rows(base_of("main"), Defaults(), accepts=accepts)


@pytest.mark.slow
def test_a_limit_that_a_change_raises_or_removes_is_that_of_the_merge_base(marked: Path) -> None:
    assert judged() == ("same", "within the limits of its marker")
    marked.write_text(MARKED.replace("max_syncs=0", "max_syncs=9"))
    nothing = "and nothing that was counted asks for that; bring it back"
    assert judged() == ("missing", f"max_syncs=0 was raised to 9, {nothing}")
    marked.unlink()
    assert judged() == ("missing", f"max_read_backs=4 was removed; max_syncs=0 was removed, {nothing}")
    write_towers(LAYER, SYNC)
    worse = "host syncs 3, where the merge base allows max_syncs=0"
    assert judged() == ("regressed", worse)
    exact = MARKED.replace("max_syncs=0", "max_syncs=3")
    marked.write_text(exact)
    assert judged() == ("regressed", worse)
    marked.write_text(exact.replace("max_syncs=3", 'max_syncs=3, accepted="Ada: lengths may differ"'))
    assert judged() == ("accepted", f"accepted in its marker: Ada: lengths may differ; {worse}")
    assert judged(accepts=False) == ("regressed", worse)
    marked.write_text(exact.replace("max_syncs=3", 'max_syncs=4, accepted="Ada: lengths may differ"'))
    assert judged() == ("regressed", worse)
    marked.write_text("import nothing_that_there_is  # mark.vlbench\n")
    (row,) = rows()
    assert row.verdict.value == "missing"
    assert "the markers in tests/test_limits.py cannot be read: ModuleNotFoundError: No module named" in row.reason


@pytest.mark.slow
def test_the_gate_has_a_row_for_it(vlbench: Vlbench, marked: Path) -> None:
    marked.write_text(MARKED.replace("max_syncs=0", "max_syncs=9"))
    ended: Ended = vlbench("gate", "--base", "main")
    assert ended.code == 6, ended
    assert "max_syncs=0 was raised to 9" in " ".join(ended.out.split())
    write_towers(LAYER, SYNC)
    ended = vlbench("gate", "--base", "main")
    assert ended.code == 3, ended
    assert "host syncs 3, where the merge base allows max_syncs=0" in " ".join(ended.out.split())
    write_towers()
    git("checkout", "--quiet", str(marked))
    assert vlbench("gate", "--base", "main").code == 0


@pytest.mark.slow
def test_a_marked_test_that_pytest_no_longer_collects_is_missing(marked: Path) -> None:
    hidden = "pytest by itself no longer collects such a test (testpaths, an ignore, a conftest?); bring it back"
    Path("conftest.py").write_text('collect_ignore = ["tests/test_limits.py"]\n')
    first, _ = rows()
    cell = "tests/test_limits.py::TestTower::test_it_does_not_wait: towers:Tower"
    assert (first.cell, first.verdict.value, first.reason) == (cell, "missing", hidden)
    Path("pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = "--of-no-plugin"\n')
    assert "pytest does not take the options that the change adds to its settings" in rows()[0].reason


NAMES_A_BASELINE = f"""import pytest


@pytest.mark.vlbench(baseline="{FILE}")
def test_it_does_no_more(vlbench_gate):
    pass
"""


@pytest.mark.slow
def test_a_test_of_a_baseline_goes_with_the_baseline_alone(vlbench: Vlbench, marked: Path) -> None:
    git("checkout", "--quiet", "main")
    marked.write_text(NAMES_A_BASELINE)
    commit()
    git("checkout", "--quiet", "-B", "change")
    assert rows() == []
    marked.unlink()
    (row,) = rows()
    assert (row.cell, row.verdict.value) == (f"{TEST}::test_it_does_no_more: {FILE}", "missing")
    assert vlbench("baseline", "remove", FILE, "--reason", "that tower is gone").code == 0
    assert rows() == []


@pytest.mark.slow
def test_the_settings_of_the_merge_base_say_what_a_marker_means(vlbench: Vlbench, marked: Path) -> None:
    """A change that has its own `[tool.vlbench]` feed something else does not feed that to the limits of the base."""
    git("checkout", "--quiet", "main")
    marked.write_text(MARKED.replace("grid=GRIDS, ", ""))
    Path("pyproject.toml").write_text('[tool.vlbench]\nscenario = "small.toml"\n')
    commit()
    git("checkout", "--quiet", "-B", "change")
    Path("pyproject.toml").write_text('[tool.vlbench]\nscenario = "nowhere.toml"\n')
    ended = vlbench("gate", "--base", "main", "--json")
    assert ended.code == 0, ended
    found = ended.json()
    assert found["rows"][0]["cell"].endswith("towers:Tower small")
    assert any(note.startswith("[tool.vlbench] scenario: judged by what the merge base") for note in found["notes"])
