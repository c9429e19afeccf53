"""Temporary folders, and what is left of them by a process that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from vlbench.process import scratch
from vlbench.process.scratch import FOLDER, IN_USE, PREFIX, Scratch

ROOT = Path(__file__).parents[2]
HOLDS = """
from vlbench.process.scratch import Scratch
kept = Scratch()
print(kept.name, flush=True)
input()
"""
Holder = Callable[[], tuple[subprocess.Popen[str], Path]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv(FOLDER, raising=False)
    scratch._remove_left.cache_clear()
    return tmp_path


@pytest.fixture
def holder(folder: Path) -> Iterator[Holder]:
    """Starts another process that has a folder there."""
    with ExitStack() as ends:

        def started() -> tuple[subprocess.Popen[str], Path]:
            process = subprocess.Popen(
                [sys.executable, "-c", HOLDS],
                env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            ends.enter_context(process)
            ends.callback(process.kill)
            assert process.stdout is not None
            return process, Path(process.stdout.readline().strip())

        yield started


def test_what_a_killed_process_left_is_removed_by_the_next_and_nothing_else_is(folder: Path, holder: Holder) -> None:
    others = [folder / name for name in ("vlbench-main", f"{PREFIX}mine", "elsewhere")]
    for each in others:
        each.mkdir()
    (others[2] / IN_USE).touch()
    (folder / f"{PREFIX}link").symlink_to(others[2])
    (killed, left), (_, alive) = holder(), holder()
    (left / "weights").write_bytes(b"0" * 100)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert (left.parent, left.is_dir(), alive.is_dir()) == (folder, True, True)
    with Scratch() as mine:
        assert not left.exists()
        assert all(path.is_dir() for path in (alive, Path(mine), *others))
        assert (others[2] / IN_USE).exists()
    assert not Path(mine).exists()


def test_once_a_process_is_enough(folder: Path) -> None:
    with Scratch() as first:
        (folder / f"{PREFIX}left").mkdir()
        (folder / f"{PREFIX}left" / IN_USE).touch()
        with Scratch() as second:
            assert (folder / f"{PREFIX}left").exists()
            assert {Path(first).parent, Path(second).parent} == {folder}


def test_in_a_child_it_lies_in_the_folder_that_goes_with_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Scratch() as parents:
        monkeypatch.setenv(FOLDER, parents)
        made = Scratch()
        assert Path(made.name).parent == Path(parents)
        made.cleanup()
        made.cleanup()  # as often as anyone likes
        assert not Path(made.name).exists()


def test_one_inside_of_a_folder_that_is_gone_makes_that_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(folder / "removed/child"))
    with Scratch() as made:
        assert Path(made).parent == folder / "removed/child"


def test_where_nothing_can_be_locked_nothing_is_removed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(scratch.fcntl, "flock", no_locks)
    (folder / f"{PREFIX}other").mkdir()
    (folder / f"{PREFIX}other" / IN_USE).touch()
    with Scratch() as mine:
        assert Path(mine).is_dir()
    assert (folder / f"{PREFIX}other").is_dir()
