"""Small hostile files through the command line, in processes of their own: what each costs until it is refused."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest
from PIL import Image

from vlbench.comparing.compared import compare_runs_of

SECONDS, MEGABYTES = 5.0, 300
"""Of the processor, and beyond what a process begins with: 4 MB may unpack to 200 MB before they are refused."""
TABLE = "============ Serving Benchmark Result ============\nSuccessful requests: {}\n" + "=" * 50 + "\n"
HEAD = 'title = "t"\nstands_for = "s"\n'


def written(path: Path, data: str | bytes) -> str:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return str(path)


def scenario(text: str) -> Callable[[Path], list[str]]:
    return lambda folder: ["run", "--scenario", written(folder / "own.toml", HEAD + text), "--out", "a.json"]


def judge(data: str, again: str = "") -> Callable[[Path], list[str]]:
    """Two files: one that is given twice is refused before it is read."""
    return lambda folder: [
        *("judge", "--before", written(folder / "a.json", data)),
        *("--after", written(folder / "b.json", again or f"{data}\n ")),
    ]


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
    "a long name": judge('{"request_throughput": {"avg": 1}, "' + "throughput" * 20_000 + '-": {"avg": 1}}'),
    "rules of a table": judge(TABLE[:-51].format(1) + "".join(f"{'=' * 4_080} a{each}:\n" for each in range(250))),
    "brackets": judge("".join(f"a{each}: 1 +- 1 x{'(' * 4_050}z(n=3)\n" for each in range(150))),
    "copied tables": judge("".join(map(TABLE.format, range(20_000))) + TABLE.format(0)),
    "stages": judge("Stage Mean Median\n" + "".join(f"s{each} 1 2\n" for each in range(30_000)) + "Mean 1\n"),
    "metrics": judge(*("".join(f"a{each}_ms,{time}\n" for each in range(15_000)) for time in (1, 2))),
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


def asv(benchmarks: int, seconds: float) -> str:
    """Each with a version of its own."""
    results = {f"b.time_{each}": [[seconds], [], "v"] for each in range(benchmarks)}
    whole = {"commit_hash": str(seconds), "params": {}, "requirements": {}, "results": results}
    return json.dumps(whole | {"result_columns": ["result", "params", "version"]})


def sglang(runs: int, milliseconds: float) -> str:
    run = {"median_e2e_latency_ms": milliseconds, "output_throughput": 1.0, "completed": 9, "num_prompts": 9}
    return "".join(json.dumps(run | {"request_rate": each // 2}) + "\n" for each in range(runs))


@pytest.mark.slow
@pytest.mark.parametrize("made", [partial(asv, 9_000), partial(sglang, 5_000)], ids=["versions", "runs"])
def test_many_honest_results_are_judged_in_no_square_of_their_number(
    made: Callable[[float], str], tmp_path: Path
) -> None:
    sides = [[written(tmp_path / f"{each}.json", made(each))] for each in (1.0, 2.0)]
    begun = time.process_time()
    judged = compare_runs_of(*sides)
    assert len(judged.rows) >= 2_500
    assert time.process_time() - begun < SECONDS
