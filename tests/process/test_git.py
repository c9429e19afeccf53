"""What git says, in a repository of its own and outside of any."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repositories import begin_here
from vlbench.errors import UsageError
from vlbench.process import git as process
from vlbench.process.git import changed_python, committed, git, is_dirty, last_commit_of, read_git, revision, text_at
from vlbench.revisions.checkouts import checked_out, commits_between
from vlbench.untrusted.limits import Limit


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    begin_here()
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "towers.py").write_text("a = 1\n")
    (tmp_path / "kept.json").write_text("{}")
    commit()
    return tmp_path


def commit() -> str:
    git("add", "--all", ":/")
    git("commit", "--quiet", "-m", "more")
    found = revision()
    assert found is not None
    return found


def test_python_files_that_changed_are_told_from_all_others(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = revision()
    assert first is not None
    (repository / "README.md").write_text("words")
    assert (changed_python(first), is_dirty()) == ([], False)
    (repository / "package" / "towers.py").write_text("a = 2\n")
    (repository / "new.py").write_text("")
    monkeypatch.chdir(repository / "package")
    assert (changed_python(first), is_dirty()) == (["package/towers.py", "new.py"], True)
    commit()
    assert (changed_python(first), is_dirty()) == (["new.py", "package/towers.py"], False)
    assert changed_python("0123456789") is None


def test_a_file_has_the_commit_it_last_changed_in_unless_it_has_changed_since(repository: Path) -> None:
    kept = repository / "kept.json"
    first = revision()
    (repository / "package" / "towers.py").write_text("a = 2\n")
    commit()
    assert last_commit_of(kept) == first
    kept.write_text("[]")
    assert (last_commit_of(kept), committed(kept)) == (None, "{}")
    second = commit()
    assert (last_commit_of(kept), committed(kept)) == (second, "[]")
    assert committed(repository / "none.json") is last_commit_of(repository / "none.json") is None
    assert process.user_name() == "Ada"


def test_outside_a_checkout_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert revision() is is_dirty() is changed_python("HEAD") is None
    assert committed(tmp_path / "x.json") is last_commit_of(tmp_path / "x.json") is None


HOSTILE = {
    "core.fsmonitor": "touch ran; false",
    "core.hooksPath": "hooks",
    "core.pager": "touch ran",
    "diff.external": "touch ran",
    "diff.stray.textconv": "touch ran; cat",
    "gpg.program": "./signed",
    "log.showSignature": "true",
    "alias.show": "!touch ran",
    "color.ui": "always",
    "color.grep": "always",
    "diff.relative": "true",
}


def test_nothing_that_a_repository_configures_is_run(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = revision()
    assert first is not None
    (repository / "hooks").mkdir()
    for name in ("hooks/post-index-change", "hooks/post-checkout", "hooks/pre-commit", "signed"):
        (repository / name).write_text("#!/bin/sh\ntouch ran\n")
        (repository / name).chmod(0o755)
    (repository / ".gitattributes").write_text("* diff=stray\n")
    for name, value in HOSTILE.items():
        git("config", name, value)
    (repository / "package" / "towers.py").write_text("a = 2\n")
    kept = repository / "kept.json"
    assert changed_python(first) == ["package/towers.py"]
    assert (is_dirty(), last_commit_of(kept), committed(kept), text_at(first, kept)) == (True, first, "{}", "{}")
    assert git("grep", "-l", "-F", "-e", "a = 1", first) == f"{first}:package/towers.py"
    monkeypatch.chdir(repository / "package")
    with checked_out([first, "."]) as sides:
        assert [(side.folder / "package" / "towers.py").read_text() for side in sides] == ["a = 1\n", "a = 2\n"]
    assert not (repository / "ran").exists()


def test_variables_of_a_hook_lead_to_no_other_repository(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = revision()
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, str(repository / "elsewhere"))
    assert (revision(), is_dirty(), committed(repository / "kept.json")) == (first, False, "{}")


@pytest.mark.parametrize("variable", ["LITERAL_PATHSPECS", "GLOB_PATHSPECS", "ICASE_PATHSPECS"])
def test_no_setting_changes_what_a_pattern_means(
    repository: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(f"GIT_{variable}", "1")
    git("config", "grep.patternType", "fixed")
    assert read_git("grep", "-l", "-e", "a.*1", "HEAD", "--", "*.py") == "HEAD:package/towers.py"


def test_an_object_that_is_lost_is_no_file_without_a_match(repository: Path) -> None:
    blob = read_git("rev-parse", "HEAD:package/towers.py")
    Path(".git/objects", blob[:2], blob[2:]).unlink()
    with pytest.raises(process.UnreadError, match=r"towers\.py': unable to read .*; `git fsck` says what is broken"):
        read_git("grep", "-l", "-e", "nothing", "HEAD", "--", "*.py", fine=(0, 1))
    with pytest.raises(process.UnreadError):
        text_at("HEAD", Path("package/towers.py"))
    assert text_at("HEAD", Path("package/none.py")) is text_at("HEAD", Path("package")) is None


def test_a_file_of_a_commit_that_is_too_large_is_not_read(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = revision()
    assert first is not None
    monkeypatch.setattr(Limit.DOCUMENT, "most", 1)
    with pytest.raises(UsageError, match=r"kept\.json at .* is above the limit of 1 bytes"):
        text_at(first, repository / "kept.json")


def test_names_and_subjects_hold_what_some_take_for_the_end_of_a_line(repository: Path) -> None:
    (repository / "a\u2028b.py").write_text("")
    assert changed_python("HEAD") == ["a\u2028b.py"]
    first = revision()
    commit()
    git("commit", "--quiet", "--amend", "--message", "one\u2028two\x85three")
    assert changed_python(str(first)) == ["a\u2028b.py"]
    assert commits_between(f"{first}..HEAD")[-1].subject == "one two three"


def test_an_object_that_was_replaced_is_read_as_it_was_committed(repository: Path) -> None:
    other = repository / "other.py"
    other.write_text("a = 9\n")
    git("replace", read_git("rev-parse", "HEAD:package/towers.py"), read_git("hash-object", "-w", str(other)))
    assert text_at("HEAD", Path("package/towers.py")) == "a = 1"
