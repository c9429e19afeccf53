"""Calls written down: whole lines, from any thread and process, within a size, and never at the caller's cost."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any

import numpy
import pytest
import torch

from tests.trial.plans import python_path
from vlbench.traffic.recorder import HEAD, Recorder
from vlbench.traffic.trace import summary_of

MOST = 1 << 20
GRIDS = [[1, 36, 36], [2, 4, 6]]


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def recorder(path: Path, most: int = MOST) -> Recorder:
    return Recorder(path / "calls.jsonl", most)


@pytest.mark.parametrize(
    "grids", [GRIDS, tuple(map(tuple, GRIDS)), torch.tensor(GRIDS), numpy.array(GRIDS), list(torch.tensor(GRIDS))]
)
def test_a_call_is_a_line_and_nothing_else(grids: Any, tmp_path: Path) -> None:
    made = recorder(tmp_path)
    made.note(grids, torch.bfloat16, 3)
    made.note(grids, None, None)
    made.close()
    head, first, second = lines(made.path)
    assert head == {"vlbench_trace": 1}
    assert 0 <= first.pop("t") <= second.pop("t") < 60
    assert first == {"grids": GRIDS, "dtype": "bfloat16", "queue": 3}
    assert second == {"grids": GRIDS, "dtype": None, "queue": None}
    assert made.missed == 0


def test_what_is_noted_is_what_it_was(tmp_path: Path) -> None:
    made, grids = recorder(tmp_path), torch.tensor(GRIDS)
    made.note(grids, None, None)
    grids.zero_()
    made.close()
    assert lines(made.path)[1]["grids"] == GRIDS


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        5,
        "x",
        [1, 36, 36],
        [[1, 36]],
        torch.ones(2, 3, device="meta"),
        [["a", 1, 1]],
        [],
        [[1, 3, 6]],
        [[0, 2, 2]],
    ],
)
def test_what_cannot_be_noted_is_missed_and_counted(wrong: Any, tmp_path: Path) -> None:
    made = recorder(tmp_path)
    made.note(wrong, None, None)
    made.note(GRIDS, None, None)
    made.close()
    assert made.missed == 1
    assert [*lines(made.path)[2:]] == [{"missed": 1}]
    assert summary_of(made.path)[1:] == (1, 2, 1296 + 48, lines(made.path)[1]["t"], 1)


def test_a_queue_or_a_dtype_that_is_none_ends_nothing(tmp_path: Path) -> None:
    made, odd = recorder(tmp_path), object()
    made.note(GRIDS, None, odd)  # type: ignore[arg-type]
    made.note(GRIDS, '"}', None)
    made.note(GRIDS, "int8", 1)
    made.close()
    assert (len(lines(made.path)), made.missed, summary_of(made.path).calls) == (3, 2, 1)


def test_it_is_written_while_it_goes_on(tmp_path: Path) -> None:
    made, until = recorder(tmp_path), monotonic() + 20
    made.note(GRIDS, None, None)
    while len(lines(made.path)) < 2 and monotonic() < until:
        sleep(0.02)
    assert len(lines(made.path)) == 2
    made.close()


def test_threads_share_a_file(tmp_path: Path) -> None:
    made = recorder(tmp_path)
    threads = [Thread(target=lambda: [made.note(GRIDS, None, each) for each in range(500)]) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    made.close()
    assert sorted(line["queue"] for line in lines(made.path)[1:]) == sorted([*range(500)] * 4)


def test_a_fork_has_a_file_of_its_own(tmp_path: Path) -> None:
    made = recorder(tmp_path)
    made.note(GRIDS, None, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that threads are not forked with it
        child = os.fork()
    if child == 0:
        made.note(GRIDS, None, 2)
        made.close()
        os._exit(0)
    os.waitpid(child, 0)
    made.note(GRIDS, None, 3)
    made.close()
    assert [line["queue"] for line in lines(made.path)[1:]] == [1, 3]
    assert [line["queue"] for line in lines(tmp_path / f"calls.{child}.jsonl")[1:]] == [2]


def test_the_size_has_a_limit(tmp_path: Path) -> None:
    made = recorder(tmp_path, 1000)
    for _ in range(100):
        made.note(GRIDS, None, None)
    made.close()
    assert made.path.stat().st_size <= 1000
    *_, last = lines(made.path)
    assert last == {"missed": made.missed}
    assert len(lines(made.path)) - 2 + made.missed == 100
    assert 5 < len(lines(made.path)) < 20


@pytest.mark.parametrize("most", range(1000, 1080, 7))
def test_what_a_file_ends_with_has_its_room_too(most: int, tmp_path: Path) -> None:
    made = recorder(tmp_path, most)
    for _ in range(100):
        made.note(GRIDS, None, None)
    made.close()
    assert made.missed
    assert made.path.stat().st_size <= most


def _note_and_flush(made: Recorder, times: int) -> None:
    for _ in range(times):
        made.note(GRIDS, None, None)
        made.flush()


def test_a_disk_that_is_full_ends_it_with_whole_lines(tmp_path: Path) -> None:
    made = recorder(tmp_path)
    size = len(HEAD) + 100  # within a line
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        with pytest.warns(RuntimeWarning, match=r"calls\.jsonl: it cannot be written \(File too large\)"):
            _note_and_flush(made, 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    made.note(GRIDS, None, None)
    made.close()
    assert [set(line) for line in lines(made.path)] == [{"vlbench_trace"}, {"t", "grids", "dtype", "queue"}, {"missed"}]
    assert made.missed == 3


KILLED = """
import os, sys, time
from pathlib import Path
from vlbench.traffic.recorder import Recorder
made = Recorder(Path(sys.argv[1]), 1 << 24)
for number in range(20_000):
    made.note([[1, 4, 6]] * 5, None, number)
    if number == 10_000:
        made.flush()
        print("ready", flush=True)
time.sleep(60)
"""


def test_a_killed_process_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    command = [sys.executable, "-c", KILLED, str(path)]
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": python_path()}, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        process.kill()
    assert [line["queue"] for line in lines(path)[1:10_002]] == [*range(10_001)]
    assert path.read_bytes().endswith(b"\n")


def test_nothing_heavy_is_imported_to_record() -> None:
    code = "import sys, vlbench; vlbench.recording; print(*{'torch', 'pydantic', 'numpy'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": python_path()}, capture_output=True, text=True
    )
    assert done.stdout == "\n", done.stderr
