"""`vlbench record` around a program that serves, and its calls replayed by run, count and simulate."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import vlbench as package
from tests.cli.conftest import Vlbench

SERVER = """
import sys, torch
from vlbench.traffic.engines import plugin

plugin()  # as the entry point does in each process of an engine

def forward(self, x, grid_thw):
    return x

Tower = type("Qwen2VisionTransformer", (torch.nn.Module,), {"forward": forward, "__module__": "vllm.models"})
print("serving")
for number in range(int(sys.argv[1])):
    Tower()(torch.zeros(1), [[1, 4, 6 + 2 * (number % 2)]])
sys.exit(int(sys.argv[2]))
"""


@pytest.fixture
def calls(folder: Path) -> Path:
    """Four calls of two layouts."""
    path = folder / "calls.jsonl"
    with package.recording(path) as record:
        for columns in (6, 8, 6, 6):
            record([[1, 4, columns]], "bfloat16", 1)
    return path


@pytest.mark.slow(seconds=4)
def test_a_server_is_recorded_and_ends_as_it_ends(vlbench: Vlbench, folder: Path) -> None:
    (folder / "server.py").write_text(SERVER)
    ended = vlbench("record", "calls.jsonl", "--json", "--", sys.executable, "server.py", 5, 3)
    (row,) = ended.json()
    assert (ended.code, row["calls"], row["images"], row["patches"]) == (3, 5, 5, 3 * 24 + 2 * 32)
    assert (row["missed"], row["file"]) == (0, "calls.jsonl")
    assert "serving" in ended.err


def test_a_command_without_a_tower_says_so(vlbench: Vlbench) -> None:
    ended = vlbench("record", "calls.jsonl", "--", "true")
    assert ended.code == 6
    assert ended.out.strip() == ""
    assert "no call was written down: vLLM and SGLang are heard where vlbench is installed beside them" in ended.err


def test_a_file_that_was_cut_is_named_beside_the_others(vlbench: Vlbench, folder: Path) -> None:
    (folder / "write.sh").write_text('printf "cut" > "$VLBENCH_RECORD"')
    ended = vlbench("record", "calls.jsonl", "--", "sh", "write.sh")
    assert ended.code == 6
    assert "calls.jsonl, line 1: it was cut off" in " ".join(ended.out.split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("calls.json", "--", "true"), "calls.json: has to end in .jsonl"),
        (("calls.jsonl", "--", "no-such-program"), "no-such-program: cannot be run (No such file or directory)"),
        (("small.jsonl", "--", "true"), "small.jsonl small.jsonl: there is a file already"),
    ],
)
def test_what_cannot_be_recorded_is_refused(
    vlbench: Vlbench, folder: Path, arguments: tuple[str, ...], told: str
) -> None:
    (folder / "small.jsonl").write_text("mine")
    assert vlbench("record", *arguments).sentence.startswith(told)


def test_a_simulation_goes_through_all_of_it(vlbench: Vlbench, calls: Path) -> None:
    (row,) = vlbench("simulate", "--scenario", calls, "--json").json()
    assert (row["point"], row["requests"], row["images"], row["exact_hit_rate"]) == ("recorded", 4, 4, 0.5)
    with calls.open("a") as file:
        file.write('{"missed":7}\n')
    assert "7 more calls were made and could not be written down" in vlbench("simulate", "--scenario", calls).out


@pytest.mark.slow(seconds=4)
def test_a_count_is_of_the_calls_in_their_order(vlbench: Vlbench, calls: Path) -> None:
    options = ("count", "--scenario", calls, "--tower", "qwen2.5-vl-tiny+rope-cache", "--json")
    (group,) = vlbench(*options).json()["groups"]
    assert (group["scenario"], group["calls"], len(group["grids"])) == ("calls", [1, 1, 1, 1], 4)


@pytest.mark.slow(seconds=10)
def test_a_run_replays_a_call_a_round(vlbench: Vlbench, calls: Path, folder: Path) -> None:
    options = ("--scenario", calls, "--with", "rope-cache", "--budget", 20, "--no-card", "--no-counts")
    ended = vlbench("run", *options, "--out", "run.json")
    assert ended.code == 0, ended.err
    (group,) = json.loads((folder / "run.json").read_text())["groups"]
    timings = group["trials"][0]["variants"][1]["timings"]
    assert list(timings) == ["churn"]
    hits, misses = timings["churn"]["look_ups"]
    assert misses == 1  # of the layout that is not the most frequent one, which was called before
    assert hits > misses


@pytest.mark.parametrize("command", ["simulate", "run", "count"])
def test_a_wrong_file_is_one_sentence(vlbench: Vlbench, calls: Path, command: str) -> None:
    calls.write_text(calls.read_text()[:-5])
    assert vlbench(command, "--scenario", calls).sentence.startswith(f"{calls}, line 5: it was cut off")
