from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from syrupy.assertion import SnapshotAssertion

from tests.export.judged_examples import ANYTHING, MOVES, all_the_same, anything, counted, one_of_everything
from vlbench.export.formats.github import annotated, locator
from vlbench.judging.judged import Judged, Move
from vlbench.judging.verdict import Verdict

COMMAND = re.compile(r"::(error|warning|notice) (.+?)::(.*)")


def in_src(file: str) -> str | None:
    return f"src/{file}" if file.startswith("pkg/") else None


def test_one_of_everything(snapshot: SnapshotAssertion) -> None:
    assert annotated(one_of_everything(), in_src) == snapshot


@anything
@given(ANYTHING)
def test_each_is_a_command_of_one_line_and_at_most_ten_of_a_kind(judged: Judged) -> None:
    said = [each for each in annotated(judged, lambda file: file or None).split("\n") if each]
    found = [COMMAND.fullmatch(each) for each in said]
    assert all(found)
    levels = Counter(each[1] for each in found if each)
    assert all(count <= 10 for count in levels.values())
    assert bool(levels["error"]) is (judged.exit_code != 0)


def test_a_line_in_many_cells_is_said_once() -> None:
    rows = tuple(counted(Verdict.REGRESSED, f"cell {number}", moves=MOVES) for number in range(30))
    (said,) = annotated(one_of_everything(rows=rows), in_src).splitlines()
    assert said.startswith(
        "::error file=src/pkg/attention.py,line=88,title=vlbench gate%3A regressed::read-back 0 -> 32"
    )
    assert said.endswith("(cell 0, cell 1, cell 2 and 27 cells more)")


def test_of_many_the_last_says_how_many_more() -> None:
    rows = tuple(counted(Verdict.REGRESSED, f"cell {number}", f"reason {number}") for number in range(30))
    said = annotated(one_of_everything(rows=rows), in_src).splitlines()
    assert len(said) == 10
    assert said[-1] == "::error title=vlbench gate::21 more are in the log"


def test_nothing_to_say() -> None:
    assert annotated(all_the_same(), in_src) == ""


def test_a_gate_that_compared_nothing_is_an_error() -> None:
    assert annotated(one_of_everything(rows=()), in_src) == (
        "::error title=vlbench gate%3A missing::nothing was compared"
    )


def test_only_lines_that_got_worse_are_annotated() -> None:
    gone = Move(kind="line", name="upload: x", before=4, after=0, file="pkg/a.py", line=1)
    rows = (counted(Verdict.REGRESSED, "cell", "worse", moves=(gone,)),)
    assert annotated(one_of_everything(rows=rows), in_src) == ("::error title=vlbench gate%3A regressed::worse (cell)")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "repository"
    for file in ("here/a.py", "src/pkg/b.py", "real/c.py", ".venv/lib/site-packages/torch/d.py"):
        (root / file).parent.mkdir(parents=True)
        (root / file).touch()
    (root / "here" / "link").symlink_to(root / "real")
    (tmp_path / "outside.py").touch()
    monkeypatch.chdir(root / "here")
    monkeypatch.setattr(sys, "path", [str(root / "src"), str(root / ".venv/lib/site-packages"), str(tmp_path)])
    monkeypatch.setenv("GITHUB_WORKSPACE", str(root))
    return root


def test_files_are_found_as_a_diff_names_them(repository: Path) -> None:
    locate = locator()
    assert locate("a.py") == "here/a.py"
    assert locate("pkg/b.py") == "src/pkg/b.py"
    assert locate("link/c.py") == "real/c.py"
    assert locate(str(repository / "here" / "a.py")) == "here/a.py"
    for elsewhere in ("torch/d.py", "outside.py", str(repository.parent / "outside.py"), "none.py", "src/pkg", ""):
        assert locate(elsewhere) is None


def test_without_a_workspace_the_current_folder_is_the_repository(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_WORKSPACE")
    assert locator()("a.py") == "a.py"
