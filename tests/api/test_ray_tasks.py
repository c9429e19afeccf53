"""What a task of Ray does, without Ray; and a Ray that does not answer."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import vlbench
from tests.matrix.planned import lines
from tests.trial.plans import work_in
from vlbench.api import ray_tasks
from vlbench.api.ray_tasks import Work, run_part, uuid_of
from vlbench.record.plan_file import plan_text


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ("[1]\n", r"\S*plan.jsonl, line 1: the file: Input should be"),
        (plan_text(lines(1, vlbench="0.0.0")), r"\S*plan.jsonl: was planned by vlbench 0.0.0"),
    ],
    ids=["exit code 2", "exit code 6"],
)
def test_a_part_that_is_refused_says_why(plan: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work_in(tmp_path, monkeypatch)
    work = Work(plan=plan, options=("--no-card",), folder=str(tmp_path), cpus=1, gpu=False, beat=1.0)
    begun, *_, last = run_part(work, "1/1")
    assert begun.kind == "begun"
    assert f"process {os.getpid()}" in begun.text
    assert last.kind == "failed"
    assert re.match(told, last.text)


def test_a_gpu_is_named_by_its_uuid(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByIndex=lambda index: f"board {index}",
        nvmlDeviceGetUUID=lambda handle: {"board 3": "GPU-3f"}[handle],
    )
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    assert (uuid_of("3"), uuid_of("MIG-77")) == ("GPU-3f", "MIG-77")


@pytest.mark.slow(seconds=5)
def test_an_address_at_which_nothing_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="Ray is not installed; `make fleet` installs it")
    monkeypatch.setattr(ray_tasks, "ANSWER", 4.0)
    start = time.monotonic()
    with (
        pytest.raises(vlbench.UsageError, match=r"--ray 127.0.0.1:9: no Ray answers there within 4 s; give host:port"),
        ray_tasks.connected("127.0.0.1:9", None),
    ):
        pass
    assert time.monotonic() - start < 20
