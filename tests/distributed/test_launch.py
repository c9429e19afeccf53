"""Ranks in processes of their own: equal to one process, and ended by a sentence where one of them is lost."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from vlbench.distributed.__main__ import main, report_words
from vlbench.distributed.job import LIMIT, Joined, RankEvent, RankJob, RankReport
from vlbench.distributed.launch import launch
from vlbench.implementations.parallel.balance import RankError

ONE_PAGE = RankJob(tower="qwen2.5-vl-tiny", scenario="high-res", device="cpu", ranks=2, timeout=4)
"""The first rank encodes for a while, and the others wait for it."""


def report(**changed: object) -> RankReport:
    usual = {"tower": "tiny", "scenario": "mine", "point": "", "backend": "gloo", "ranks": 2, "grids": ((1, 4, 4),)}
    more = {"shares": ((0,), ()), "balance": 2.0, "received_bytes": 0, "equals_shares": True, "error": 0.0}
    return RankReport.model_validate(usual | more | changed)


@pytest.mark.parametrize(
    ("changed", "passed"),
    [
        ({}, True),
        ({"error": LIMIT}, True),
        ({"error": 1.1 * LIMIT}, False),
        ({"error": float("nan")}, False),
        ({"equals_shares": False}, False),
    ],
)
def test_what_passes_is_equal(changed: dict[str, object], passed: bool) -> None:
    assert report(**changed).passed is passed


def test_a_rank_without_an_item_is_told_within_80_columns() -> None:
    told = report_words(report(equals_shares=False, error=0.25)).splitlines()
    assert told[1:3] == ["rank 0: item 0", "rank 1: no item, and takes part"]
    assert told[4:] == [
        "to one process, share by share: NOT EQUAL",
        "to the whole batch at once: error 2.5e-01, limit 1e-05",
    ]
    assert max(map(len, told)) <= 80


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--ranks", "0"], "--ranks: 0 is not a number from 1 to 64; give one"),
        (["--ranks", "65"], "--ranks: 65 is not a number from 1 to 64; give one"),
        (["--timeout", "nan"], "--timeout: nan is no number of seconds up to 3,600; give one"),
    ],
)
def test_what_cannot_be_is_refused(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"error: {sentence}\n"


def test_under_torchrun_it_starts_none_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR"):
        monkeypatch.setenv(name, "1")
    assert main(["--ranks", "2"]) == 2
    assert "torchrun has started them" in capsys.readouterr().err


@pytest.mark.slow
def test_a_tower_that_is_not_known_is_refused_by_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--ranks", "1", "--tower", "math:sqrt"]) == 2
    assert "--tower 'math:sqrt': what its images cost is not known" in capsys.readouterr().err


@pytest.mark.slow
def test_beneath_torchrun_the_first_rank_reports() -> None:
    """With a flag, and videos among the images."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    options = ["-m", "vlbench.distributed", "--scenario", "mixed", "--tower", "qwen3-vl-tiny+rope-cache", "--json"]
    done = subprocess.run([*torchrun, *options], capture_output=True, text=True, timeout=200, check=True)
    found = json.loads(done.stdout)
    assert found["ranks"] == 2
    assert found["equals_shares"] is True
    assert found["error"] <= LIMIT
    assert sorted(item for share in found["shares"] for item in share) == list(range(len(found["grids"])))
    assert any(t > 1 for t, _, _ in found["grids"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("by", "sentence"),
    [
        (signal.SIGKILL, r"rank 0 of 2: its process was ended by SIGKILL \(.*; all other ranks were ended"),
        (signal.SIGSTOP, r"rank 1 of 2: (another rank did not take part in the gather|the ranks did not find each.*)"),
    ],
)
def test_a_rank_that_is_lost_ends_all(by: signal.Signals, sentence: str) -> None:
    pids = set[int]()

    def lose(pid: int, event: RankEvent) -> None:
        pids.add(pid)
        if event == Joined(rank=0):
            os.kill(pid, by)

    began = time.monotonic()
    with pytest.raises(RankError) as raised:
        launch(ONE_PAGE, lose)
    assert re.match(sentence, str(raised.value))
    assert "\n" not in str(raised.value)
    assert time.monotonic() - began < 100
    assert len(pids) == 2
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, 0)
            pytest.fail(f"process {pid} is still there")
