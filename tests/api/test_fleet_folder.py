"""What a fleet starts, keeps and removes, with tasks that say at once what is written here."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.matrix.planned import lines, part, written
from vlbench.api.fleet import fleet
from vlbench.api.ray_tasks import Message, Work
from vlbench.errors import IncomparableError, UsageError
from vlbench.record.files import read_results
from vlbench.record.plan_file import plan_text

PLAN = lines(2)
FIRST, SECOND = "vlbench-shard-1-of-2", "vlbench-shard-2-of-2"
LOST = Message("failed", "node died")


def came(shard: str, *numbers: int, seconds: float = 0.02) -> Message:
    return Message("came", part(PLAN, shard, *numbers, seconds=seconds).model_dump_json())


class Fleet:
    """Runs a plan of two groups, whose tasks say what `says` has for their part."""

    def __init__(self) -> None:
        self.says = {"1/2": came("1/2", 1), "2/2": came("2/2", 2)}
        self.started = list[str]()
        self.beat = 0.0

    def connected(self, work: Work) -> Fleet:
        self.beat = work.beat
        return self

    def start(self, shard: str) -> list[str]:
        self.started.append(shard)
        return [shard]

    def hear(self, handles: Sequence[list[str]]) -> list[tuple[Any, Message]]:
        return [(handles[0], self.says[handles[0][0]])]

    def end(self, handle: list[str]) -> None:
        pass

    def run(self, **options: Any) -> list[float]:
        """Seconds of a call, of each part that was put together."""
        self.started.clear()
        found = fleet("plan.jsonl", "auto", out="out", progress=False, **options)
        assert found.record == read_results(Path("out/merged.json"))
        return [round(shard.begin.seconds, 3) for shard in found.record.shards]


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.chdir(tmp_path)
    Path("plan.jsonl").write_text(plan_text(PLAN))
    made = Fleet()
    monkeypatch.setattr("vlbench.api.fleet.plans_here", lambda *_, **__: (None, SimpleNamespace(threads=1)))
    monkeypatch.setattr("vlbench.api.fleet.check_installed", lambda: None)
    monkeypatch.setattr("vlbench.api.fleet.connected", lambda *_: nullcontext())
    monkeypatch.setattr("vlbench.api.fleet.RayTasks", made.connected)
    return made


def test_parts_of_an_earlier_run_are_in_no_later_one(tasks: Fleet) -> None:
    assert tasks.run() == [0.02, 0.02]
    assert tasks.started == ["1/2", "2/2"]
    Path(f"out/{FIRST}.json.txt").touch()
    tasks.says = {"1/2": came("1/2", 1, seconds=0.07), "2/2": LOST}
    with pytest.raises(IncomparableError, match=r"line 3 .* and 1 more, never came back \(shard 2/2 .*: node died\)"):
        tasks.run(force=True)
    assert sorted(path.name for path in Path("out").iterdir()) == [f"{FIRST}.json", f"{FIRST}.json.txt"]
    tasks.says["2/2"] = came("2/2", 2, seconds=0.08)
    assert tasks.run(resume=True) == [0.07, 0.08]
    assert tasks.started == ["2/2"]


def test_another_number_of_parts_replaces_all(tasks: Fleet) -> None:
    tasks.run()
    tasks.says["1/1"] = came("1/1", 1, 2, seconds=0.09)
    assert tasks.run(force=True, shards=1) == [0.09]
    assert tasks.run(resume=True, shards=1) == [0.09]
    assert tasks.started == []


@pytest.mark.parametrize("force", [False, True])
def test_whole_parts_are_kept_and_others_run_again(tasks: Fleet, force: bool) -> None:
    Path("out").mkdir()
    short = part(PLAN, "2/2", 2, seconds=0.07, complete=False)
    written(Path("out"), **{FIRST: part(PLAN, "1/2", 1, seconds=0.07), SECOND: short})
    assert tasks.run(resume=True, force=force) == [0.07, 0.02]
    assert tasks.started == ["2/2"]


@pytest.mark.parametrize(("silence", "beat"), [(120.0, 5.0), (8.0, 1.0)])
def test_a_task_gives_signs_of_life_well_within_its_time(tasks: Fleet, silence: float, beat: float) -> None:
    tasks.run(silence=silence)
    assert tasks.beat == beat


def test_a_folder_that_cannot_be_made_is_refused(tasks: Fleet) -> None:
    Path("out").symlink_to("gone")
    with pytest.raises(UsageError, match=r"^--out out: cannot be made .*; choose another"):
        tasks.run()
    assert tasks.started == []
