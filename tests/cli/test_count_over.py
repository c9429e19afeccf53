"""Which revision of a range changed a counter."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Vlbench
from tests.repositories import commit, git
from tests.revisions.packages import DYING, FILE, ONE_MORE_SYNC, PACKAGE, changed


@pytest.mark.slow
def test_the_revision_that_brought_a_wait_is_named(vlbench: Vlbench, folder: Path) -> None:
    commit(folder, {FILE: PACKAGE})
    for number in range(3):
        commit(folder, {"notes.txt": f"{number}"})
    guilty = commit(folder, {FILE: changed(ONE_MORE_SYNC)})
    for number in range(3):
        commit(folder, {"notes.txt": f"again {number}"})
    words = ("count", "--over", "HEAD~7..HEAD", "--tower", "towers:vision", "--scenario", "small.toml")
    ended = vlbench(*words, "--json")
    assert ended.code == 3, ended
    found = ended.json()
    whole, step = found["rows"]
    assert "host syncs rose from 0 to 1" in whole["reason"]
    assert (whole["gates"], step["gates"]) == (True, False)
    assert step["cell"].startswith(f"{guilty[:9]} (a change): towers:vision")
    assert "5 of 8 revisions were counted" in found["notes"][0]
    assert git(folder, "status", "--porcelain", "--untracked-files=no") == ""
    commit(folder, {FILE: changed(DYING)})
    ended = vlbench(*(words[:2]), "HEAD~1..HEAD", *words[3:])
    assert ended.code == 6, ended


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--over", "HEAD"), "FIRST..LAST"),
        (("--over", "HEAD..HEAD"), "nothing leads from HEAD to HEAD"),
        (("--over", "no..HEAD"), "'no' is no revision"),
        (("--over", "HEAD~1..HEAD", "--where"), "--where says nothing beside --over"),
        (("--over", "HEAD~1..HEAD", "--tower", "hf:qwen2-vl-7b"), "its code is the same in every revision"),
        (("--over", "HEAD~1..HEAD", "--tower", "a:b", "--tower", "c:d"), "--over counts one tower"),
    ],
)
def test_what_is_no_range_is_told_in_one_sentence(
    vlbench: Vlbench, folder: Path, words: tuple[str, ...], said: str
) -> None:
    commit(folder, {FILE: PACKAGE})
    commit(folder, {"notes.txt": "more"})
    assert said in vlbench("count", *words).sentence
