"""`vlbench gate --base` and the limits in the markers of tests, which the change does not choose either."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Ended, Vlbench
from tests.cli.gated import LAYER, SYNC, commit, git, keep_one_tower, write_towers
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
