"""What git says, in a repository of its own and outside of any."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlbench.process.git import changed_python, committed, git, is_dirty, last_commit_of, revision, user_name


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet")
    git("config", "user.name", "Ada")
    git("config", "user.email", "ada@example.org")
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
    assert user_name() == "Ada"


def test_outside_a_checkout_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert revision() is is_dirty() is changed_python("HEAD") is None
    assert committed(tmp_path / "x.json") is last_commit_of(tmp_path / "x.json") is None
