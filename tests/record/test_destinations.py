"""Files that are to be written: refused, held and named before anything is measured."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from vlbench.errors import UsageError
from vlbench.record.destinations import check_folder, check_output, free_output, journal_of, reserved

OURS = '{"journal": 1, "plan": ""}\n'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(path: str | Path, **options: bool) -> str:
    with pytest.raises(UsageError) as refused, reserved(Path(path), **options):
        pass
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_what_is_there_stays_unless_it_is_said_otherwise(here: Path) -> None:
    Path("a.json").write_text("a measurement of hours")
    assert refusal("a.json") == "--out a.json: there is a file already; --force replaces it, or choose another name"
    with reserved(Path("a.json"), force=True) as journal:
        assert journal == here / "a.journal.jsonl"
    assert Path("a.json").read_text() == "a measurement of hours"
    Path("b.json").touch()  # as mktemp makes them
    check_output(Path("b.json"), "--out")
    assert sorted(path.name for path in here.iterdir()) == ["a.json", "b.json"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("nowhere/a.json", "the folder nowhere does not exist; make it or choose another"),
        (".", "a folder; give a file, such as results.json"),
        ("n" * 245, "a name too long for the files that are written beside it; choose a shorter one"),
        ("n" * 400, "a name too long for the files that are written beside it; choose a shorter one"),
        ("dangling", "the folder "),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_sentence(here: Path, path: str, reason: str) -> None:
    Path("dangling").symlink_to("nowhere/else")
    before = sorted(here.iterdir())
    said = refusal(path)
    assert said.startswith("--out: " if len(path) > 200 else f"--out {path}: ")
    assert reason in said
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize(("folder", "nearest"), [("a.json", "a.json"), ("a.json/b/c", "a.json"), ("link", "link")])
def test_what_is_in_the_way_of_a_folder_is_named(folder: str, nearest: str) -> None:
    Path("a.json").touch()
    Path("link").symlink_to("nowhere")
    with pytest.raises(UsageError) as refused:
        check_folder(Path(folder), f"--out {folder}")
    assert str(refused.value).startswith(f"--out {folder}: {nearest} is in the way, for it is no folder; move it")


def test_a_folder_that_can_be_made_is_not_made_yet(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_folder(Path("new/deeper"), "--out new/deeper")
    assert list(here.iterdir()) == []
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(UsageError, match=r"--out new: nothing may be written to \.; change its permissions"):
        check_folder(Path("new"), "--out new")


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_a_disk_that_takes_nothing_is_seen_before(here: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def full(file: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.fsync", full)
    remedy = "free some space, or choose another" if number == errno.ENOSPC else "choose another"
    assert refusal("a.json") == f"--out a.json: cannot be written ({os.strerror(number)}); {remedy}"
    assert list(here.iterdir()) == []


def test_devices_are_written_to_and_have_nothing_beside_them() -> None:
    with reserved(Path("/dev/null")) as journal:
        assert journal is None
    assert "this is none" in refusal("/dev/null", resume=True)


def test_a_link_has_its_journal_and_lock_beside_the_file_that_it_names(here: Path) -> None:
    Path("there").mkdir()
    Path("link.json").symlink_to("there/a.json")
    with reserved(Path("link.json")) as journal:
        assert journal == here / "there/a.journal.jsonl"
        assert refusal("there/a.json").endswith("another run is writing it; wait for its end or choose another name")


def test_only_one_run_at_a_time_has_an_output(here: Path) -> None:
    with reserved(Path("a.json")):
        for options in ({}, {"force": True}, {"resume": True}):
            assert "another run is writing it" in refusal("a.json", **options)
        with reserved(Path("b.json")):
            pass
    with reserved(Path("a.json")):
        pass
    assert list(here.iterdir()) == []


def test_an_interrupted_run_is_neither_lost_nor_mixed_up_with_another(here: Path) -> None:
    Path("a.journal.jsonl").write_text(OURS)
    assert "a.journal.jsonl holds an interrupted run; --resume goes on with it, --force starts anew" in refusal(
        "a.json"
    )
    for options in ({"resume": True}, {"force": True}):
        with reserved(Path("a.json"), **options) as journal:
            assert journal == journal_of(here / "a.json")


@pytest.mark.parametrize("content", ["my notes\n", '{"a": 1}\n', "[1]\n", "\udcff"])
def test_a_journal_of_someone_else_is_not_touched(here: Path, content: str) -> None:
    path = Path("a.journal.jsonl")
    path.write_text(content, errors="surrogateescape")
    for options in ({}, {"force": True}):
        assert "is no journal of vlbench" in refusal("a.json", **options)
    assert path.read_text(errors="surrogateescape") == content


def test_default_names_are_the_first_that_are_free(here: Path) -> None:
    assert free_output("vlbench-x") == Path("vlbench-x.json")
    Path("vlbench-x.json").touch()
    Path("vlbench-x-2.journal.jsonl").touch()
    assert free_output("vlbench-x") == Path("vlbench-x-3.json")
    assert free_output("vlbench-x", resume=True) == Path("vlbench-x-2.json")
    assert free_output("vlbench-y", resume=True) == Path("vlbench-y.json")
    Path("vlbench-profile").mkdir()
    assert free_output("vlbench-profile", "") == Path("vlbench-profile-2")


@pytest.mark.parametrize(("name", "option"), [("a.csv", "csv"), ("a.md", "markdown"), ("a.XML", "junit")])
def test_results_are_json_whatever_their_name_says(here: Path, name: str, option: str) -> None:
    assert refusal(name) == f"--out {name}: results are JSON; name a .json file, and take --{option} for tables"
    assert list(here.iterdir()) == []


def test_resume_names_the_run_that_was_interrupted(here: Path) -> None:
    assert refusal("b.json", resume=True).endswith("b.journal.jsonl does not exist); leave it out")
    Path("a.journal.jsonl").write_text(OURS)
    assert refusal("b.json", resume=True).endswith("does not exist); --out a.json has one that was interrupted")
