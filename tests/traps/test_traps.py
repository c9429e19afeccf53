"""Every trap of the list ends as the list says, and the page is the list."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.traps.page import page
from tests.traps.traps import KINDS, ROOT, Copy, Trap, copy_of, load, make_base

LISTED = load()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return make_base(tmp_path_factory.mktemp("traps") / "base")


def cases() -> list[object]:
    """Most are slow; one that is not right yet has to be turned on as soon as it is."""
    found = []
    for each in LISTED:
        marks = [pytest.mark.cold if each.quick else pytest.mark.slow]
        if each.pending:
            marks.append(pytest.mark.xfail(reason=each.pending, strict=True))
        found.append(pytest.param(each, id=f"{each.kind}: {each.title}", marks=marks))
    return found


@pytest.mark.parametrize("trap", cases())
def test_it_ends_as_the_page_says(trap: Trap, base: Copy, tmp_path: Path) -> None:
    done = trap.spring(copy_of(base.folder, tmp_path / "copy"))
    assert done.returncode == trap.exit, done.stdout
    assert trap.says in done.stdout, done.stdout
    assert "Traceback" not in done.stdout or trap.kind == "pytest", done.stdout


@pytest.mark.slow
def test_nothing_is_called_where_nothing_changed(base: Copy, tmp_path: Path) -> None:
    copy = copy_of(base.folder, tmp_path / "copy")
    for command in ("vlbench gate", "pytest tests"):
        done = copy.run(command)
        assert done.returncode == 0, done.stdout


def test_the_page_is_made_from_the_list() -> None:
    assert (ROOT / "docs/traps.md").read_text() == page(LISTED), "run `make docs`"


def test_each_has_a_title_of_its_own_and_a_heading() -> None:
    assert len({(each.kind, each.title) for each in LISTED}) == len(LISTED)
    assert {each.kind for each in LISTED} == set(KINDS)
