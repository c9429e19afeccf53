from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.record.records import CLOSE, REFERENCE_SECONDS, died, failed, group, results, timed, trial
from vlbench.errors import UsageError
from vlbench.record.files import read_results, write_results, write_whole

FULL = results(
    group(
        trial(timed("rope-cache", 0.5, accuracy=CLOSE), failed("window-sort"), died("host-grid")),
        trial(timed("rope-cache", 0.25, accuracy=CLOSE), failed("window-sort"), died("host-grid"), number=1),
    )
)


def refusal(path: Path) -> str:
    """The sentence that says what is wrong with the file: one line that names it."""
    with pytest.raises(UsageError) as caught:
        read_results(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert "\n" not in sentence
    return sentence


def changed(path: Path, **fields: Any) -> Path:
    path.write_text(json.dumps(FULL.model_dump(mode="json") | fields))
    return path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_results(FULL, tmp_path / "a.json")
    assert read_results(tmp_path / "a.json") == FULL
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_names_outside_of_ascii_survive(tmp_path: Path) -> None:
    named = results(group(scenario="écran-日本"))
    write_results(named, tmp_path / "a.json")
    assert read_results(tmp_path / "a.json") == named


@pytest.mark.parametrize(
    ("number", "then", "remedy"),
    [
        (errno.ENOSPC, "", "free some space, or choose another"),
        (errno.EDQUOT, "; it goes on", "free some space; it goes on"),
        (errno.EACCES, "", "choose another"),
        (errno.EROFS, "; it goes on", "make it writable; it goes on"),
    ],
)
def test_a_write_that_fails_leaves_the_old_file_and_names_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, then: str, remedy: str
) -> None:
    goal = tmp_path / "a.json"
    write_results(FULL, goal)
    before = goal.read_bytes()

    def refuse(self: Path, target: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(UsageError) as refused:
        write_results(results(), goal, then)
    assert str(refused.value) == f"{goal}: cannot be written ({os.strerror(number)}); {remedy}"
    assert goal.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_that_is_not_there_is_no_full_disk(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be written \(No such file or directory\); choose another$"):
        write_whole(tmp_path / "no/a.json", "x")


def test_missing(tmp_path: Path) -> None:
    assert "no such file; write one with `vlbench run --out" in refusal(tmp_path / "a.json")


def test_a_folder(tmp_path: Path) -> None:
    assert "a folder" in refusal(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"name,seconds\n"])
def test_not_json(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    assert "not JSON" in refusal(tmp_path / "a.json")


@pytest.mark.parametrize("content", ["[]", "3", "null", "{}", '{"benchmarks": []}'])
def test_json_of_something_else(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    assert "has no schema_version" in refusal(tmp_path / "a.json")


@pytest.mark.parametrize("version", [0, 99, "1"])
def test_another_schema(tmp_path: Path, version: object) -> None:
    assert f"schema_version is {version}" in refusal(changed(tmp_path / "a.json", schema_version=version))


def test_changed_by_hand(tmp_path: Path) -> None:
    content = FULL.model_dump(mode="json")
    content["groups"][0]["trials"][1]["variants"][2]["timings"] = {"warm": {"seconds": REFERENCE_SECONDS}}
    sentence = refusal(changed(tmp_path / "a.json", groups=content["groups"]))
    assert "groups.0.trials.1.variants.2" in sentence
    assert "no passed accuracy check" in sentence
    assert "changed by hand" in sentence
    assert "command" in refusal(changed(tmp_path / "a.json", command=None))


def test_a_path_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refusal(tmp_path / "file" / "a.json")


def test_a_link_stays_one_and_what_it_names_is_written(tmp_path: Path) -> None:
    goal, link = tmp_path / "a.json", tmp_path / "link.json"
    link.symlink_to(goal)
    write_results(FULL, link)
    assert link.is_symlink()
    assert read_results(goal) == FULL


def test_what_is_no_regular_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: seen.append(pipe.read_text()))
    seen: list[str] = []
    reader.start()
    write_results(FULL, pipe)
    reader.join(timeout=10)
    assert pipe.is_fifo()
    assert json.loads(seen[0])["schema_version"] == 3
