"""Small hostile files through the command line, in processes of their own: what each costs until it is refused."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from PIL import Image

SECONDS, MEGABYTES = 5.0, 300
"""Of the processor, and beyond what a process begins with: 4 MB may unpack to 200 MB before they are refused."""
HEAD = 'title = "t"\nstands_for = "s"\n'


def written(path: Path, data: str | bytes) -> str:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return str(path)


def scenario(text: str) -> Callable[[Path], list[str]]:
    return lambda folder: ["run", "--scenario", written(folder / "own.toml", HEAD + text), "--out", "a.json"]


def judge(data: str) -> Callable[[Path], list[str]]:
    return lambda folder: ["judge", "--before", written(folder / "a.json", data), "--after", "a.json"]


def pictures(side: int, count: int) -> Callable[[Path], list[str]]:
    def made(folder: Path) -> list[str]:
        names = [f"{number}.png" for number in range(count)]
        Image.new("1", (side, side)).save(folder / names[0])
        for name in names[1:]:
            os.link(folder / names[0], folder / name)
        return ["run", "--scenario", "single-image", "--images", *names, "--out", "a.json"]

    return made


def bomb(folder: Path) -> list[str]:
    """4 MB that unpack to 4 GB."""
    return ["nsys", "report", written(folder / "a.json.gz", gzip.compress(bytes(1 << 26)) * 64)]


def pipe(*arguments: str) -> Callable[[Path], list[str]]:
    def made(folder: Path) -> list[str]:
        os.mkfifo(folder / "pipe.toml")
        return [*arguments, "pipe.toml"]

    return made


CASES: dict[str, Callable[[Path], list[str]]] = {
    "deep": judge("[" * 100_000),
    "digits": judge('{"request_throughput": ' + "9" * 5_000 + "}"),
    "many values": judge("{" + ",".join(f'"{each}":[{{}}]' for each in range(1_700_000)) + "}"),
    "count": scenario('[[item]]\nsize = "56x56"\ncount = 1000000000000\n'),
    "sweeps": scenario(f"limit = {list(range(1000))}\n[[item]]\nsize = '56x56'\ncount = {list(range(1, 1001))}\n"),
    "requests": scenario('[mix]\nrequests = 1000000000000\ntoken_budget = 9\ndistribution = "d"\n'),
    "pictures": pictures(13_000, 10),
    "plain pictures": pictures(3_999, 10),
    "bomb": bomb,
    "parts of a gzip file": lambda folder: ["nsys", "report", written(folder / "a.gz", gzip.compress(b"") * 200_000)],
    "pipe of a scenario": pipe("run", "--out", "a.json", "--scenario"),
    "pipe of a capture": pipe("nsys", "report"),
    "pipe of results": pipe("show"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_at_once_and_in_little_memory(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "vlbench", *CASES[name](tmp_path)]
    with (tmp_path / "stderr").open("w+") as said:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=said)
        had = psutil.Process(process.pid).memory_info().rss  # a fork begins with what it was forked from
        killer = threading.Timer(60, process.kill)
        killer.start()
        _, status, used = os.wait4(process.pid, 0)
        killer.cancel()
        said.seek(0)
        sentence = said.read()
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 2, sentence
    assert sentence.startswith("error: ")
    assert sentence.count("\n") == 1
    assert used.ru_utime + used.ru_stime < SECONDS
    assert used.ru_maxrss / 1024 - had / 2**20 < MEGABYTES
