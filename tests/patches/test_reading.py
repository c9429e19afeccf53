"""What a patch may not touch is refused before any of its code is run, with a code and a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Vlbench, folder, vlbench
from tests.repositories import commit, git
from vlbench.patches.reasons import CODES, Reason
from vlbench.process.listing import listing

__all__ = ["folder", "vlbench"]
FILES = {"tower.py": "x = 1\n", "tests/test_it.py": "pass\n", "pyproject.toml": "[tool.vlbench]\n"}


def added(name: str, text: str = "x", mode: str = "100644") -> str:
    """A patch with a new file."""
    head = f"diff --git a/{name} b/{name}\nnew file mode {mode}\n--- /dev/null\n+++ b/{name}\n"
    return f"{head}@@ -0,0 +1 @@\n+{text}\n" + ("\\ No newline at end of file\n" if mode != "100644" else "")


def changed(name: str, old: str, new: str) -> str:
    """A patch of the first line of a file."""
    return f"--- a/{name}\n+++ b/{name}\n@@ -1,1 +1,1 @@\n-{old}\n+{new}\n"


REFUSED = {
    "empty": ("", Reason.NOT_A_PATCH),
    "prose": ("make it faster\n", Reason.NOT_A_PATCH),
    "another line": (changed("tower.py", "y = 1", "y = 2"), Reason.DOES_NOT_APPLY),
    "a file that is not there": (changed("other.py", "x = 1", "x = 2"), Reason.DOES_NOT_APPLY),
    "above": (added("../e.py"), Reason.OUTSIDE_THE_REPOSITORY),
    "absolute": ("--- /dev/null\n+++ /etc/e.py\n@@ -0,0 +1 @@\n+x\n", Reason.OUTSIDE_THE_REPOSITORY),
    "a hook": (added(".git/hooks/post-checkout"), Reason.OUTSIDE_THE_REPOSITORY),
    "a link": (added("weights", "/etc/passwd", "120000"), Reason.LINK_OR_SUBMODULE),
    "a submodule": (added("sub", f"Subproject commit {'1' * 40}", "160000"), Reason.LINK_OR_SUBMODULE),
    "a test": (changed("tests/test_it.py", "pass", "assert True"), Reason.EDITS_THE_JUDGE),
    "a conftest": (added("conftest.py"), Reason.EDITS_THE_JUDGE),
    "a baseline": (added("results/baselines/tower.json", "{}"), Reason.EDITS_THE_JUDGE),
    "settings": (changed("pyproject.toml", "[tool.vlbench]", "[tool.other]"), Reason.EDITS_THE_JUDGE),
    "a torch of its own": (added("torch.py"), Reason.EDITS_THE_JUDGE),
    "a vlbench of its own": (added("vlbench/counting/measure.py"), Reason.EDITS_THE_JUDGE),
    "a json in src": (added("src/json/__init__.py"), Reason.EDITS_THE_JUDGE),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_a_code(vlbench: Vlbench, folder: Path, name: str) -> None:
    patch, reason = REFUSED[name]
    commit(folder, FILES)
    file = folder.parent / "it.patch"
    file.write_text(patch)
    ended = vlbench("judge-patch", "main", file, "--tower", "tower:make", "--json")
    assert ended.code == 2, ended
    found = ended.json()
    assert (found["verdict"], found["reason"], found["reward"]) == ("refused", reason.code, 0)
    assert found["said"].count("\n") == 0
    assert git(folder, "status", "--porcelain") == ""
    assert not (folder.parent / "e.py").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("main", "no.patch"), "'no.patch' is no revision"),
        (("nowhere", "main"), "'nowhere' is no revision"),
        (("main", "main", "--tower", "other:make"), "has no package 'other'"),
        (("main", "main", "--tower", "hf:qwen2-vl-7b"), "its code is the same in every revision"),
        (("main", "main", "--times", "--grid", "1x4x4"), "--grid says nothing beside --times"),
    ],
)
def test_a_wrong_command_is_one_sentence(vlbench: Vlbench, folder: Path, words: tuple[str, ...], said: str) -> None:
    commit(folder, FILES)
    assert said in vlbench("judge-patch", *words).sentence


def test_a_listing_tells_files_links_and_empty_folders_apart(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/c").write_text("1")
    (tmp_path / "d").symlink_to("a")
    found = listing(tmp_path)
    assert set(found) == {"a/b", "a/c", "d"}
    assert (found["a/b"], found["d"]) == ("empty folder", "linka")
    (tmp_path / "a/c").write_text("2")
    assert listing(tmp_path)["a/c"] != found["a/c"]


def test_every_code_is_one_of_the_list() -> None:
    assert {each.code for each in Reason} == set(CODES)
    assert len(CODES) == len(Reason)
    ends = {"refused": 2, "missing": 6, "inaccurate": 5, "inconclusive": 4, "regressed": 3}
    assert all(each.exit_code == ends.get(each.verdict, 0) for each in Reason)
