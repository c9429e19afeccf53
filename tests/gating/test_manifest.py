"""The list of what must be judged, in folders of baselines made by hand."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.record.baselines import ACCEPTED, baseline, cell
from vlbench.errors import IncomparableError, UsageError
from vlbench.gating.acceptance import seal
from vlbench.gating.manifest import NAME, Removal, lists, new_removal, read_manifest, remove, to_judge
from vlbench.gating.required import by_manifest
from vlbench.judging.verdict import Verdict
from vlbench.record.baseline_files import proposal_path, read_baseline, write_baseline
from vlbench.record.locks import locked

REMOVAL = Removal(file="b.json", by="Ada", reason="that tower is gone", date=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two baselines, listed."""
    monkeypatch.chdir(tmp_path)
    made = Path("kept")
    made.mkdir()
    for name in ("a", "b"):
        seal(made / f"{name}.json", baseline(cell(tower=f"toy:{name}"), accepted=()), ACCEPTED)
    return made


def missing(folder: Path) -> dict[str, str]:
    rows = [row for rows in by_manifest([], folder).rows.values() for row in rows]
    assert all(row.verdict is Verdict.MISSING and row.gates for row in rows)
    return {row.cell: row.reason for row in rows}


def test_what_is_listed_and_there_is_judged(folder: Path) -> None:
    required = by_manifest([], folder)
    assert list(required.baselines) == [folder / "a.json", folder / "b.json"]
    assert (missing(folder), required.notes) == ({}, [])


@pytest.mark.parametrize("goal", ["b.proposed.json", "deeper/b.json", "c.json", "b.json.bak", None])
def test_a_file_that_was_renamed_moved_or_deleted_is_missed(folder: Path, goal: str | None) -> None:
    (folder / "deeper").mkdir()
    if goal:
        (folder / "b.json").rename(folder / goal)
    else:
        (folder / "b.json").unlink()
    (reason,) = missing(folder).values()
    assert "kept/b.json: kept/baselines.manifest lists it and it is not there: was it renamed" in reason
    assert '`vlbench baseline remove kept/b.json --reason "..."`' in reason


def test_a_cell_that_an_older_file_does_not_hold_is_missed(folder: Path) -> None:
    older = read_baseline(folder / "a.json")
    seal(folder / "a.json", baseline(*older.counted, cell(tower="toy:more"), accepted=()), ACCEPTED)
    write_baseline(older, folder / "a.json")
    assert list(missing(folder)) == [cell(tower="toy:more").name]
    (row,) = by_manifest([folder / "a.json"], folder).rows[folder / "a.json"]
    assert row.reason == "kept/a.json does not hold it, and kept/baselines.manifest lists it; bring it back"


def test_a_file_that_nobody_listed_is_judged_and_named(folder: Path) -> None:
    write_baseline(baseline(cell(tower="toy:c")), folder / "c.json")
    write_baseline(baseline(cell(tower="toy:d")), proposal_path(folder / "d.json"))
    files, _, (note,) = to_judge([], folder)
    assert [path.name for path in files] == ["a.json", "b.json", "c.json"]
    assert note.startswith("kept/c.json is not in kept/baselines.manifest, so nobody would miss it")
    assert to_judge([folder / "c.json"], folder)[2] == [note]


def test_without_a_manifest_nobody_knows_what_must_be_judged(folder: Path) -> None:
    (folder / NAME).unlink()
    with pytest.raises(IncomparableError, match="no such file, so nobody knows what must be judged"):
        to_judge([], folder)
    assert to_judge([folder / "a.json"], folder) == ([folder / "a.json"], [], [])
    for path in folder.glob("*.json"):
        path.unlink()
    with pytest.raises(IncomparableError, match="kept: holds no baseline"):
        to_judge([], folder)


def test_a_folder_that_lost_all_is_said_to(folder: Path) -> None:
    for path in folder.glob("*.json"):
        path.unlink()
    with pytest.raises(IncomparableError, match=r"kept/a\.json: kept/baselines\.manifest lists it and it is not there"):
        to_judge([], folder)


@pytest.mark.parametrize("text", ["{", "[]", '{"kind": "baseline"}', '{"baselines": {"a.json": 3}}', '{"more": 1}'])
def test_a_manifest_that_cannot_be_read_is_no_manifest(folder: Path, text: str) -> None:
    (folder / NAME).write_text(text)
    with pytest.raises(IncomparableError, match=r"kept/baselines\.manifest: .*take back what was changed by hand"):
        to_judge([], folder)
    with pytest.raises(IncomparableError, match="take back what was changed"):
        seal(folder / "c.json", baseline(cell(tower="toy:c"), accepted=()), ACCEPTED)
    assert not (folder / "c.json").exists()


def test_removing_takes_the_file_and_its_entry_and_keeps_who_and_why(folder: Path) -> None:
    remove(folder / "b.json", REMOVAL)
    found = read_manifest(folder)
    assert found is not None
    assert (list(found.baselines), found.removed) == (["a.json"], (REMOVAL,))
    assert not (folder / "b.json").exists()
    assert missing(folder) == {}
    with pytest.raises(UsageError, match="does not list it; remove the file yourself"):
        remove(folder / "b.json", REMOVAL)
    (folder / "a.json").unlink()
    remove(folder / "a.json", REMOVAL)
    assert not lists(folder / "a.json", baseline())


def test_a_folder_is_not_removed_and_stays_listed(folder: Path) -> None:
    (folder / "b.json").unlink()
    (folder / "b.json").mkdir()
    before = read_manifest(folder)
    with pytest.raises(UsageError, match=r"b\.json: a folder; name the baseline file to remove"):
        remove(folder / "b.json", REMOVAL)
    assert read_manifest(folder) == before


def test_writers_wait_for_each_other(folder: Path) -> None:
    done = threading.Event()

    def write() -> None:
        seal(folder / "c.json", baseline(cell(tower="toy:c"), accepted=()), ACCEPTED)
        done.set()

    with locked(folder):
        thread = threading.Thread(target=write)
        thread.start()
        assert not done.wait(0.2)
    thread.join(10)
    assert lists(folder / "c.json", read_baseline(folder / "c.json"))


def test_what_changed_meanwhile_is_not_written_over(folder: Path) -> None:
    stored = read_baseline(folder / "a.json")
    seal(folder / "a.json", stored, ACCEPTED, stored)
    with pytest.raises(IncomparableError, match="was changed while this went on"):
        seal(folder / "a.json", stored, ACCEPTED, stored)
    with pytest.raises(IncomparableError, match="was changed while this went on"):
        seal(folder / "a.json", stored, ACCEPTED, new=True)


def test_a_removal_counts_where_it_is_new_and_what_was_there_before_is_kept(folder: Path) -> None:
    path, manifest = folder / "b.json", folder / NAME
    before = manifest.read_text()
    assert new_removal(path, before) is None  # it is listed
    remove(path, REMOVAL)
    assert new_removal(path, before) == new_removal(path, None) == REMOVAL
    assert new_removal(path, manifest.read_text()) is None  # an old one
    assert new_removal(path, "{") is None
    assert new_removal(folder / "c.json", before) is None
    old = read_manifest(folder)
    assert old is not None
    other = old.model_copy(update={"removed": (REMOVAL.model_copy(update={"by": "nobody"}),)})
    assert new_removal(path, other.model_dump_json()) is None  # the history was rewritten


def test_without_a_manifest_nothing_is_listed_and_a_named_file_needs_none(folder: Path) -> None:
    (folder / NAME).unlink()
    assert not lists(folder / "a.json", baseline())
    assert to_judge([folder / "a.json"], folder) == ([folder / "a.json"], [], [])
