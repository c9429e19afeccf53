"""Parts that are lost, silent, slow or come twice, told by tasks whose words and times are written here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.matrix.planned import lines, part
from tests.record.records import timed
from vlbench.api.fleet_parts import Parts
from vlbench.api.ray_tasks import Message
from vlbench.errors import IncomparableError
from vlbench.export.progress import Watcher
from vlbench.record.schema import Counts, Results

PLAN = lines(2)
Script = list[tuple[float, str, Message]]
"""When, in seconds; of which task, such as "1/2" or "1/2 again"; and what it says."""


class Scripted:
    """Tasks that say what was written down, and a clock that shows the time at which they do."""

    def __init__(self, script: Script) -> None:
        self.script = sorted(script, key=lambda each: each[0])
        self.started = list[str]()
        self.ended = list[str]()
        self.now = 0.0

    def start(self, shard: str) -> str:
        again = sum(each.split()[0] == shard for each in self.started)
        self.started.append(shard + " again" * again)
        return self.started[-1]

    def hear(self, handles: Sequence[Any]) -> list[tuple[Any, Message]]:
        self.now, name, message = self.script.pop(0)
        return [(handle, message) for handle in handles if handle == name]

    def end(self, handle: Any) -> None:
        self.ended.append(handle)


def begun(where: str) -> Message:
    return Message("begun", where)


def came(shard: str, **fields: Any) -> Message:
    return Message("came", part(PLAN, shard, int(shard[0]), **fields).model_dump_json())


def played(script: Script, **limits: Any) -> tuple[Parts, Scripted, list[str]]:
    """Run two parts, whose script may end before they do."""
    said, kept, tasks = list[str](), dict[str, Results](), Scripted(script)
    with Watcher(said.append) as watch:
        parts = Parts(["1/2", "2/2"], tasks, watch, kept.__setitem__, clock=lambda: tasks.now, **limits)
        parts.run()
    assert kept == parts.back
    return parts, tasks, said


FIRST: Script = [(0, "1/2", begun("a")), (20, "1/2", came("1/2"))]


def test_what_comes_back_is_kept_and_told() -> None:
    script: Script = [*FIRST, (0, "2/2", begun("b")), (9, "2/2", Message("said", "round 7")), (21, "2/2", came("2/2"))]
    parts, tasks, said = played(script)
    assert sorted(parts.back) == ["1/2", "2/2"]
    assert (parts.notes, parts.given_up, tasks.ended) == ([], {}, [])
    assert "shard 1/2: back after 20 s, 1 of 2" in said
    assert "0 of 2 parts are back, 2 run; shard 2/2: round 7" in said


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (Message("failed", "WorkerCrashedError: it died"), "WorkerCrashedError: it died"),
        (came("2/2", complete=False), "it was interrupted"),
        (Message("came", "{}"), "what came back is no results file"),
        (Message("came", came("2/2").text.replace("host-2", "host-3")), "its checksum does not fit"),
    ],
    ids=["killed", "not complete", "empty", "damaged"],
)
def test_what_is_lost_is_tried_again_up_to_a_bound(message: Message, why: str) -> None:
    script: Script = [*FIRST, (0, "2/2", begun("b")), (5, "2/2", message), (6, "2/2 again", begun("c"))]
    parts, tasks, _ = played([*script, (22, "2/2 again", came("2/2"))])
    assert tasks.started == ["1/2", "2/2", "2/2 again"]
    assert parts.notes[0].startswith(f"shard 2/2 was lost on b: {why}")
    assert sorted(parts.back) == ["1/2", "2/2"]

    parts, tasks, _ = played([*script, (25, "2/2 again", message)], tries=2)
    assert (list(parts.back), tasks.started[2:]) == (["1/2"], ["2/2 again"])
    assert parts.given_up["2/2"].startswith(why)
    assert parts.tries_of("2/2") == "2 tries"


SILENT: Script = [
    (0, "2/2", begun("b")),
    (1, "1/2", begun("a")),
    *((each, "1/2", Message("said", "")) for each in (*range(40, 360, 40), 121)),
    (130, "2/2 again", begun("c")),
    (170, "2/2 again", came("2/2")),
    (400, "1/2", came("1/2")),
]


def test_a_late_result_of_a_part_that_is_back_is_the_same_line() -> None:
    parts, _, _ = played([*SILENT, (300, "2/2", came("2/2", seconds=0.07))])
    assert parts.notes[0] == "shard 2/2 was lost on b: no sign of life for 120 s"
    assert "shard 2/2 came back twice with the same counters: the first counts" in parts.notes
    assert parts.back["2/2"].shards[0].begin.seconds < 0.03


def test_a_late_result_that_counted_something_else_is_an_error() -> None:
    other = part(PLAN, "2/2", 2)
    first = other.groups[0].trials[0]
    counted = timed("exact", 0.9, counts=Counts(aten_operations=301, attention_calls=16))
    changed = first.model_copy(update={"variants": (first.variants[0], counted)}).with_checksum()
    group = other.groups[0].model_copy(update={"trials": (changed, other.groups[0].trials[1])})
    text = other.model_copy(update={"groups": (group,)}).with_checksum().model_dump_json()
    with pytest.raises(IncomparableError, match=r"shard 2/2 ran twice.* n=2 .*exact of trial 1: .*=300 .*=301"):
        played([*SILENT, (300, "2/2", Message("came", text))])


def test_a_late_result_counts_where_no_other_came() -> None:
    script: Script = [each for each in SILENT if each[1] != "2/2 again"]
    parts, tasks, _ = played([*script, (300, "2/2", came("2/2"))], tries=1)
    assert (parts.given_up, sorted(parts.back), tasks.started) == ({}, ["1/2", "2/2"], ["1/2", "2/2"])


def test_a_slow_part_is_shown_and_left_alone() -> None:
    alive: Script = [(each, "2/2", Message("said", "round 1")) for each in (25, 29, 31, 35)]
    parts, tasks, said = played([*FIRST, (0, "2/2", begun("b")), *alive, (40, "2/2", came("2/2"))])
    assert parts.notes == ["shard 2/2 is slow: 31 s so far on b, where others took 20 s"]
    assert parts.notes[0] in said
    assert tasks.started == ["1/2", "2/2"]


def test_what_still_runs_at_the_end_is_ended() -> None:
    _, tasks, _ = played([each for each in SILENT if each[0] < 400] + [(380, "1/2", came("1/2"))])
    assert tasks.ended == ["2/2"]
