from __future__ import annotations

from pathlib import Path

import pytest

from vlbench.errors import IncomparableError, UsageError
from vlbench.revisions.checkouts import Revision
from vlbench.revisions.request import Pair, Way, way_of


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """A package in `sub` of both, one at the top, and one that only the second has."""
    revisions = [
        Revision(name, str(number) * 40, "tree", tmp_path / str(number) / "files", "sub/", changed=False)
        for number, name in enumerate(("main", "HEAD"))
    ]
    for revision in revisions:
        (revision.here / "src/inner").mkdir(parents=True)
        (revision.folder / "outer").mkdir()
        (revision.folder / "implementations").mkdir()
    (revisions[1].here / "new.py").write_text("")
    return Pair(*revisions)


@pytest.mark.parametrize(
    ("tower", "way"),
    [
        ("qwen2.5-vl-tiny", Way.ONE_PROCESS),
        ("qwen2.5-vl-7b+best", Way.ONE_PROCESS),
        ("towers:vision", Way.LOCK_STEP),
        ("my.towers.vision:Tower.make", Way.LOCK_STEP),
    ],
)
def test_only_our_own_towers_share_a_process(tower: str, way: Way) -> None:
    assert way_of(tower) is way


@pytest.mark.parametrize("tower", ["hf:qwen2.5-vl-tiny", "hf-eager:qwen2.5-vl-tiny", "at:/folder:towers:vision"])
def test_what_no_revision_holds_cannot_be_compared(tower: str) -> None:
    with pytest.raises(UsageError, match="its code is the same in every revision"):
        way_of(tower)


def test_a_package_is_looked_for_here_and_then_at_the_top(pair: Pair) -> None:
    assert str(pair.at(pair.base, "inner.towers:make")) == f"at:{pair.base.here}:inner.towers:make"
    assert pair.at(pair.head, "outer:make").folder == pair.head.folder
    assert pair.at(pair.head, "qwen2.5-vl-tiny+best").folder == pair.head.folder


def test_a_package_that_a_revision_lacks_is_one_sentence(pair: Pair) -> None:
    assert pair.at(pair.head, "new:make").folder == pair.head.here
    with pytest.raises(UsageError, match=r"main \(000000000\) has no package 'new' here, nor in src or python; name"):
        pair.at(pair.base, "new:make")


def test_folders_that_are_soon_gone_are_called_by_their_revisions(pair: Pair) -> None:
    text = f"tower 'at:{pair.base.here}:inner:make': {pair.head.folder}/outer/__init__.py:3 raised"
    assert pair.plain(text) == "tower 'main:inner:make': HEAD:outer/__init__.py:3 raised"
    with pytest.raises(IncomparableError, match=r"^HEAD:outer/x\.py is gone$"), pair.naming():
        raise IncomparableError(f"{pair.head.folder}/outer/x.py is gone")
