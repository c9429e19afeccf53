"""What a patch may not touch is refused before any of its code is run, with a code and a sentence."""

from __future__ import annotations

import tempfile
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


def renamed(old: str, new: str) -> str:
    """A patch that moves a file."""
    return f"diff --git a/{old} b/{new}\nsimilarity index 100%\nrename from {old}\nrename to {new}\n"


LINE = changed("tower.py", "x = 1", "x = 2")
REFUSED = {
    "empty": ("", Reason.NOT_A_PATCH),
    "blank lines": ("\n\n", Reason.NOT_A_PATCH),
    "bytes": ("\0\1\2\x7fELF" * 9, Reason.NOT_A_PATCH),
    "cut off": (LINE[:-8], Reason.NOT_A_PATCH),
    "other ends of lines": (LINE.replace("\n", "\r\n"), Reason.DOES_NOT_APPLY),
    "a binary file without its content": (
        "diff --git a/w.bin b/w.bin\nnew file mode 100644\nindex 0000000..1111111\n"
        "Binary files /dev/null and b/w.bin differ\n",
        Reason.DOES_NOT_APPLY,
    ),
    "moved above": (renamed("tower.py", "../tower.py"), Reason.OUTSIDE_THE_REPOSITORY),
    "moved over a test": (renamed("tower.py", "tests/test_tower.py"), Reason.EDITS_THE_JUDGE),
    "a test moved away": (renamed("tests/test_it.py", "it.py"), Reason.EDITS_THE_JUDGE),
    "submodules": (added(".gitmodules", '[submodule "a"]'), Reason.LINK_OR_SUBMODULE),
    "a link to above": (added("up", "../..", "120000"), Reason.LINK_OR_SUBMODULE),
    "a file made a link": (
        "diff --git a/tower.py b/tower.py\nold mode 100644\nnew mode 120000\n",
        Reason.DOES_NOT_APPLY,
    ),
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
    "settings that nobody can read": (
        changed("pyproject.toml", "[tool.vlbench]", f"x = {'[' * 3000}{']' * 3000}"),
        Reason.EDITS_THE_JUDGE,
    ),
    "a torch of its own": (added("torch.py"), Reason.EDITS_THE_JUDGE),
    "a vlbench of its own": (added("vlbench/counting/measure.py"), Reason.EDITS_THE_JUDGE),
    "a json in src": (added("src/json/__init__.py"), Reason.EDITS_THE_JUDGE),
}


@pytest.fixture
def own_temporary(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own := folder.parent / f"{folder.name}-temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(own))


def assert_nothing_left(folder: Path) -> None:
    assert list(Path(tempfile.gettempdir()).iterdir()) == []
    assert len(git(folder, "worktree", "list").splitlines()) == 1


@pytest.mark.usefixtures("own_temporary")
@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_a_code(vlbench: Vlbench, folder: Path, name: str) -> None:
    patch, reason = REFUSED[name]
    commit(folder, FILES)
    (folder / "tower.py").write_text("x = 3\n")  # what is not committed is not what is judged
    file = folder.parent / "it.patch"
    file.write_bytes(patch.encode())
    ended = vlbench("judge-patch", "main", file, "--tower", "tower:make", "--json")
    assert ended.code == 2, ended
    found = ended.json()
    assert (found["verdict"], found["reason"], found["reward"]) == ("refused", reason.code, 0)
    assert found["said"].count("\n") == 0
    assert git(folder, "status", "--porcelain") == "M tower.py"
    assert_nothing_left(folder)
    assert not (folder.parent / "e.py").exists()


@pytest.mark.usefixtures("own_temporary")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("main", "no.patch"), "'no.patch' is no revision"),
        (("nowhere", "main"), "'nowhere' is no revision"),
        (("main", "main", "--tower", "other:make"), "has no package 'other'"),
        (("main", "main", "--tower", "hf:qwen2-vl-7b"), "its code is the same in every revision"),
        (("main", "main", "--times", "--grid", "1x4x4"), "--grid says nothing beside --times"),
        (("main", "../gone.patch"), "has no package 'tower'"),
        (("main", "../moved.patch"), "has no package 'tower'"),
        (("main", ".."), "'..' is no revision"),
    ],
)
def test_a_wrong_command_is_one_sentence(vlbench: Vlbench, folder: Path, words: tuple[str, ...], said: str) -> None:
    commit(folder, FILES)
    (folder.parent / "moved.patch").write_text(renamed("tower.py", "vision.py"))
    (folder.parent / "gone.patch").write_text("--- a/tower.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-x = 1\n")
    words = words if "--tower" in words else (*words, "--tower", "tower:make")
    assert said in vlbench("judge-patch", *words).sentence
    assert_nothing_left(folder)


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
