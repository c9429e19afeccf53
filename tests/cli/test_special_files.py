"""Names of what is no regular file, and names without end, in every command that takes a file: one sentence at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Vlbench
from vlbench.record.destinations import check_output, open_output

NEW = ["baseline", "save", "new.json", "--reason", "r"]
READING = [
    ["run", "--scenario", "X"],
    ["run", "--images", "X"],
    ["run", "--against", "X"],
    ["profile", "--scenario", "X"],
    ["count", "--scenario", "X"],
    ["calibrate", "--scenario", "X"],
    ["ab", "HEAD", "HEAD", "--scenario", "X"],
    ["show", "X"],
    ["judge", "--before", "X", "--after", "X"],
    ["diff", "X", "X"],
    ["self-test", "--from", "X"],
    [*NEW, "--capture", "X"],
    [*NEW, "--results", "X"],
    ["baseline", "show", "X"],
    ["baseline", "accept", "X", "--reason", "r"],
    ["baseline", "complete", "X", "--reason", "r"],
    ["baseline", "rebase", "X", "--reason", "r"],
    ["baseline", "migrate", "X"],
    ["nsys", "report", "X"],
    ["nsys", "diff", "X", "X"],
    ["nsys", "trace", "X", "-o", "t.json"],
]
WRITING = [
    ["run", "--out", "X"],
    ["ab", "HEAD", "HEAD", "--out", "X"],
    ["self-test", "--out", "X"],
    ["list", "flags", "--markdown", "X"],
    ["list", "flags", "--svg", "X"],
    ["list", "flags", "--csv", "X"],
]


@pytest.mark.parametrize(
    "name",
    [
        "/proc/self/mem",
        "pipe",
        "n" * 256,
        *(pytest.param(each, marks=pytest.mark.slow) for each in ("/dev/zero", "folder", "n" * 5000)),
    ],
    ids=["memory", "pipe", "256", "device", "folder", "5000"],
)
@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_what_is_read(vlbench: Vlbench, folder: Path, arguments: list[str], name: str) -> None:
    os.mkfifo("pipe")
    (folder / "folder").mkdir()
    assert vlbench(*(name if each == "X" else each for each in arguments)).sentence


@pytest.mark.parametrize("arguments", WRITING, ids=" ".join)
def test_a_pipe_that_nobody_reads_is_refused_and_not_waited_for(vlbench: Vlbench, arguments: list[str]) -> None:
    os.mkfifo("X")
    assert "X: a pipe, and nobody reads it; start its reader first, or name a file" in vlbench(*arguments).sentence


def test_a_pipe_that_is_checked_before_it_is_written_keeps_its_reader(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    check_output(pipe, "--out")
    with pytest.raises(BlockingIOError):
        os.read(reader, 100)  # nothing yet, and not the end
    with open_output(pipe, "--out") as file:
        file.write("all of it")
    assert os.read(reader, 100) == b"all of it"
    assert os.read(reader, 100) == b""
    os.close(reader)


@pytest.mark.parametrize("arguments", [["list", "formats"], ["--version"], ["list", "seams", "--json"]], ids=" ".join)
def test_an_output_that_takes_nothing_more(
    vlbench: Vlbench, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr("sys.stdout", full)
        said = vlbench(*arguments).sentence
    assert said.startswith("what is printed cannot be written (No space left on device)")
