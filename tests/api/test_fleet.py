"""`vlbench.fleet` on a Ray of this machine, whose workers are killed, stopped and held up; `make fleet` runs it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import vlbench
from tests.cli.test_plan import counters
from tests.trial.plans import python_path, work_in

SIXTY = """
title = "Sixty small pictures"
stands_for = "nothing but a test"
source = "noise"
[[item]]
grid = [{grids}]
"""
SETTINGS = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
LONGEST = 1200.0
"""Seconds after which nothing is held up any more."""


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """Five places on this machine, without a dashboard, whose parts start their processes as tests do."""
    ray = pytest.importorskip("ray", reason="Ray is not installed; `make fleet` installs it")
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # short: sockets lie in it
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", python_path(Path(__file__).parent / "in_ray"))
        small = {"num_cpus": 5, "object_store_memory": 80_000_000, "include_dashboard": False, "_temp_dir": folder}
        ray.init("local", log_to_driver=False, logging_level="ERROR", **small)
    yield
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    work_in(tmp_path, monkeypatch)
    return tmp_path


class Hand:
    """Reads what a fleet tells. In the middle of their parts it kills 2/4 and stops 3/4 and the worker of 4/4.

    That worker goes on when another has begun, and 3/4 when 4/4 came twice and 3/4 was called slow.
    """

    def __init__(self) -> None:
        self.said = list[str]()
        self.workers: dict[str, list[int]] = defaultdict(list)
        self.done: dict[str, list[int]] = {}
        self.began = time.monotonic()

    def __call__(self, line: str) -> None:
        self.said.append(line)
        if found := re.match(r"shard (./.): begun on .*process (\d+)", line):
            self.workers[found[1]].append(int(found[2]))
        if (found := re.search(r"; shard (./.): sixty", line)) and found[1] not in self.done:
            self.touch(found[1], self.workers[found[1]][0])
        late = time.monotonic() - self.began > LONGEST
        if late or len(self.workers["4/4"]) > 1:
            self.let_go("4/4")
        if late or (self.told("4/4 came back twice") and self.told("3/4 is slow")):
            self.let_go("3/4")

    def told(self, words: str) -> bool:
        return any(f"shard {words}" in line for line in self.said)

    def touch(self, shard: str, worker: int) -> None:
        self.done[shard] = []
        if shard == "2/4":
            os.kill(worker, signal.SIGKILL)
        elif shard in ("3/4", "4/4"):
            held = [worker] if shard == "4/4" else [each.pid for each in psutil.Process(worker).children()]
            self.done[shard] = held
            for each in held:
                os.kill(each, signal.SIGSTOP)

    def let_go(self, shard: str) -> None:
        for each in self.done.get(shard, []):
            os.kill(each, signal.SIGCONT)
        self.done[shard] = []


@pytest.mark.slow(seconds=80)
def test_sixty_groups_whose_workers_are_killed_held_up_and_run_twice(
    local_ray: None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vlbench.trial.limits.WRITING", -3600.0)  # as in the parts
    grids = [f"{height}x{width}" for height in range(2, 18, 2) for width in range(2, 18, 2)][:60]
    (folder / "sixty.toml").write_text(SIXTY.format(grids=", ".join(f'"{each}"' for each in grids)))
    vlbench.plan(scenario="sixty.toml", variant="host-grid", device="cpu", budget=0.2, out="plan.jsonl")
    hand = Hand()
    found = vlbench.fleet("plan.jsonl", "local", shards=4, card=False, silence=12, out="parts", progress=hand)
    assert found.path == Path("parts/merged.json")
    single = vlbench.run_plan("plan.jsonl", card=False, progress=False)
    assert counters(found.record) == counters(single.record)
    assert counters(found.record).count('"aten_operations"') == 2 * 60
    assert sorted(shard.shard for shard in found.record.shards) == ["1/4", "2/4", "3/4", "4/4"]
    told = " ".join(found.notes)
    assert re.search(r"shard 2/4 was lost on .*: WorkerCrashedError", told)
    assert "no sign of life for 12 s" in told
    assert "shard 4/4 came back twice with the same counters: the first counts" in told
    assert re.search(r"shard 3/4 is slow: \d+ s so far on", told)
    merged = vlbench.merge("plan.jsonl", sorted(Path("parts").glob("vlbench-shard-*.json")))
    assert merged.record.groups == found.record.groups


@pytest.mark.slow(seconds=20)
def test_a_line_that_never_came_back_is_named_and_can_be_run_later(local_ray: None, folder: Path) -> None:
    vlbench.plan(
        scenario="small.toml", variant="host-grid", dtype=["float32", "bfloat16"], budget=0.2, out="plan.jsonl"
    )

    def kill(line: str) -> None:
        if found := re.match(r"shard 2/2: begun on .*process (\d+)", line):
            os.kill(int(found[1]), signal.SIGKILL)

    with pytest.raises(vlbench.IncomparableError) as caught:
        vlbench.fleet("plan.jsonl", "local", card=False, tries=2, out="parts", progress=kill)
    told = str(caught.value)
    assert told.startswith("line 2 (small qwen2.5-vl-tiny bfloat16 cpu, trial 1 of 1) never came back (shard 2/2 was")
    assert "given up after 2 tries, the last of which was lost: WorkerCrashedError" in told
    assert [path.name for path in Path("parts").iterdir()] == ["vlbench-shard-1-of-2.json"]
    first = Path("parts/vlbench-shard-1-of-2.json").read_bytes()
    found = vlbench.fleet("plan.jsonl", "local", card=False, out="parts", resume=True, progress=False)
    assert (len(found.record.groups), found.notes) == (2, ())
    assert Path("parts/vlbench-shard-1-of-2.json").read_bytes() == first


@pytest.mark.slow
def test_what_no_node_has_is_refused(local_ray: None, folder: Path) -> None:
    vlbench.plan(scenario="small.toml", variant="host-grid", device="cpu", out="plan.jsonl")
    with pytest.raises(vlbench.UsageError, match=r"a part takes 99 CPU, and no node has that \(5 CPU and 0 GPU\)"):
        vlbench.fleet("plan.jsonl", "local", cpus=99)
    vlbench.plan(scenario="small.toml", device="cuda", out="gpu.jsonl")
    with pytest.raises(vlbench.UsageError, match=r"a part takes 1 CPU and 1 GPU, and no node has that"):
        vlbench.fleet("gpu.jsonl", "local")
