from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.record.records import timed, trial
from vlbench.errors import UsageError
from vlbench.record.journal import Journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.journal.jsonl"


@pytest.fixture
def interrupted(path: Path) -> Path:
    """Two trials of the first group, one lost trial of the second, and a variant that died."""
    journal = Journal(path, "a plan")
    journal.add_trial(0, trial(timed("rope-cache", 0.5)))
    journal.add_lost(1, 0, "trial 1: no end after 5 s")
    journal.add_died(0, "host-grid", "killed")
    journal.add_trial(0, trial(number=1))
    return path


def test_a_resumed_journal_has_what_was_finished(interrupted: Path) -> None:
    journal = Journal(interrupted, "a plan", resume=True)
    assert journal.trials(0) == [trial(timed("rope-cache", 0.5)), trial(number=1)]
    assert journal.trials(1) == []
    assert journal.has(0, 1)
    assert not journal.has(0, 2)
    assert not journal.has(1, 0)
    assert journal.lost(1) == ["trial 1: no end after 5 s"]
    assert journal.died == [(0, "host-grid", "killed")]


def test_a_lost_trial_that_was_made_good_is_not_lost(interrupted: Path) -> None:
    journal = Journal(interrupted, "a plan", resume=True)
    journal.add_trial(1, trial())
    assert journal.lost(1) == []
    assert Journal(interrupted, "a plan", resume=True).lost(1) == []


@pytest.mark.parametrize("keep", range(1, 60, 7))
def test_a_last_line_that_was_cut_off_costs_that_trial_alone(interrupted: Path, keep: int) -> None:
    whole = interrupted.read_text()
    last = whole.splitlines()[-1]
    interrupted.write_text(whole[: len(whole) - len(last) - 1] + last[:keep])
    journal = Journal(interrupted, "a plan", resume=True)
    assert len(journal.trials(0)) == 1
    journal.add_trial(0, trial(number=1))
    assert len(Journal(interrupted, "a plan", resume=True).trials(0)) == 2


@pytest.mark.parametrize("written", [0, 30])
def test_a_disk_that_is_full_by_now_is_named_and_costs_nothing_that_was_kept(
    interrupted: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """`written` characters of the new line are all that the disk still takes."""

    def full(*given: object) -> None:
        if isinstance(given[0], int):
            os.truncate(given[0], len(before) + written)
        raise OSError(errno.ENOSPC, "No space left on device")

    journal = Journal(interrupted, "a plan", resume=True)
    kept, before = journal.trials(0), interrupted.read_text()
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(UsageError) as refused:
            journal.add_trial(1, trial())
    assert str(refused.value) == (
        f"{interrupted}: cannot be written (No space left on device); free some space, and --resume goes on with what "
        "it holds"
    )
    left = interrupted.read_text()
    assert (left[: len(before)], len(left) - len(before)) == (before, written)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(UsageError, match="free some space"):
            Journal(interrupted, "a plan", resume=True)
    assert interrupted.read_text() == left
    resumed = Journal(interrupted, "a plan", resume=True)
    assert (resumed.trials(0), resumed.trials(1), interrupted.read_text()) == (kept, [], before)


def test_a_folder_that_is_gone_by_now_is_no_full_disk(tmp_path: Path) -> None:
    gone = tmp_path / "gone/run.journal.jsonl"
    with pytest.raises(UsageError) as refused:
        Journal(gone, "a plan").add_trial(0, trial())
    assert str(refused.value) == (
        f"{gone}: cannot be written (No such file or directory); make it writable, and --resume goes on with what it "
        "holds"
    )


def test_a_link_stays_one_when_it_is_resumed(interrupted: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "link.jsonl"
    link.parent.mkdir()
    link.symlink_to(interrupted)
    Journal(link, "a plan", resume=True).add_trial(1, trial())
    assert (link.is_symlink(), [each.name for each in link.parent.iterdir()]) == (True, [link.name])
    assert Journal(interrupted, "a plan", resume=True).trials(1) == [trial()]


@pytest.mark.parametrize("damage", ["{", "[]", '{"group": 0}', '{"group": 0, "trial": {"number": 1}}'])
def test_damage_in_the_middle_is_named_by_its_line(interrupted: Path, damage: str) -> None:
    lines = interrupted.read_text().splitlines()
    interrupted.write_text("\n".join([*lines[:2], damage, *lines[3:]]) + "\n")
    with pytest.raises(UsageError, match=r"--resume: .*, line 3 is damaged; leave --resume out"):
        Journal(interrupted, "a plan", resume=True)


@pytest.mark.parametrize(
    ("lines", "at"),
    [((0, 1, 1, 2, 3, 4), 3), ((0, 2, 3, 4), 2), ((0, 1, 3, 2, 4), 3), ((0, 1, 2, 3, 4, 4), 6), ((0, 1, 2, 4), 4)],
    ids=["copied", "left out", "swapped", "the last copied", "one before the last left out"],
)
def test_a_line_where_it_does_not_belong_is_named(interrupted: Path, lines: tuple[int, ...], at: int) -> None:
    written = interrupted.read_text().splitlines()
    interrupted.write_text("\n".join(written[each] for each in lines) + "\n")
    with pytest.raises(UsageError, match=rf"--resume: .*, line {at} does not belong there: .*leave --resume out"):
        Journal(interrupted, "a plan", resume=True)


@pytest.mark.parametrize("line", [2, 3, 5])
def test_an_edited_line_is_named(interrupted: Path, line: int) -> None:
    lines = interrupted.read_text().splitlines()
    lines[line - 1] = lines[line - 1].replace('"number": 0', '"number": 7').replace("[0.01", "[0.001")
    interrupted.write_text("\n".join(lines) + "\n")
    with pytest.raises(UsageError, match=rf"line {line} (does not belong there|is damaged)"):
        Journal(interrupted, "a plan", resume=True)


def test_a_line_of_another_run_of_the_same_plan_is_named(interrupted: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    Journal(other, "a plan").add_trial(0, trial(number=1))
    first = interrupted.read_text().splitlines()[0]
    interrupted.write_text(f"{first}\n{other.read_text().splitlines()[1]}\n")
    with pytest.raises(UsageError, match="line 2 does not belong there"):
        Journal(interrupted, "a plan", resume=True)


def test_nothing_to_resume(path: Path) -> None:
    with pytest.raises(UsageError, match="there is no interrupted run"):
        Journal(path, "a plan", resume=True)


@pytest.mark.parametrize("content", [b"", b"\xff"])
def test_not_a_journal(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(UsageError, match="is not a journal"):
        Journal(path, "a plan", resume=True)


@pytest.mark.parametrize("content", ["hello\n", "[]\n", '{"journal": 99, "plan": "a plan"}\n'])
def test_a_journal_of_something_else(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(UsageError, match="belongs to another run"):
        Journal(path, "a plan", resume=True)


def test_another_plans_journal_is_not_resumed(interrupted: Path) -> None:
    with pytest.raises(UsageError, match="belongs to another run; repeat its options"):
        Journal(interrupted, "another plan", resume=True)


def test_starting_anew_keeps_the_old_journal_aside(interrupted: Path) -> None:
    before = interrupted.read_text()
    Journal(interrupted, "another plan").add_lost(0, 0, "it hung")
    assert interrupted.with_name(f"{interrupted.name}.old").read_text() == before
    assert Journal(interrupted, "another plan", resume=True).trials(0) == []


def test_a_run_that_is_refused_before_its_first_trial_leaves_no_journal(tmp_path: Path, interrupted: Path) -> None:
    before = interrupted.read_text()
    Journal(tmp_path / "fresh.jsonl", "a plan")
    Journal(interrupted, "another plan")
    assert not (tmp_path / "fresh.jsonl").exists()
    assert interrupted.read_text() == before


def test_a_complete_run_leaves_no_journal(interrupted: Path) -> None:
    journal = Journal(interrupted, "a plan", resume=True)
    journal.remove()
    journal.remove()
    assert not interrupted.exists()


def test_without_a_path_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    journal = Journal(None, "")
    journal.add_trial(0, trial())
    journal.remove()
    assert journal.trials(0) == [trial()]
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_finished_nothing_can_go_on_as_well(path: Path) -> None:
    Journal(path, "a plan").begin()
    journal = Journal(path, "a plan", resume=True)
    journal.add_trial(0, trial())
    assert Journal(path, "a plan", resume=True).trials(0) == [trial()]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("--seed: 0", "--seed: 1", "belongs to another run: its --seed was 0, not 1; repeat"),
        ("--with: " + "a" * 99, "--with: " + "b" * 99, "belongs to another run: its --with was another; repeat"),
        ("--seed: 0\n--dtype: a", "--seed: 0", "belongs to another run; repeat"),
    ],
)
def test_an_option_that_is_another_one_is_named(tmp_path: Path, before: str, after: str, told: str) -> None:
    path = tmp_path / "a.journal.jsonl"
    Journal(path, f"--trials: 5\n{before}").begin()
    with pytest.raises(UsageError, match=told):
        Journal(path, f"--trials: 5\n{after}", resume=True)
