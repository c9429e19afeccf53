"""Outputs that were stored on fewer calls than are made today."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest
import torch

from vlbench.implementations.preprocessing import Fed, Images, Preprocessing
from vlbench.record.outputs import StoredCall, StoredOutputs, StoredPart
from vlbench.record.site import Where
from vlbench.record.work import Step, Work
from vlbench.trial.checks import Outcome, OwnCheck
from vlbench.trial.judged import Answer
from vlbench.trial.own_check import _compared, _outputs
from vlbench.trial.remote import RemoteTower
from vlbench.trial.sketch import sketch


def of(**values: float) -> StoredOutputs:
    calls = tuple(
        StoredCall(
            name=f"{name} float32",
            parts=(StoredPart(name="tokens", form="float32 [2, 8]", sketch=sketch(torch.full((2, 8), value))),),
        )
        for name, value in values.items()
    )
    return StoredOutputs(tower="toy:Tower", names="", weights="", calls=calls)


def outcome(stored: StoredOutputs, now: StoredOutputs) -> Outcome:
    return _compared(stored, now)


def test_the_calls_that_are_stored_are_compared_and_the_others_named() -> None:
    found = outcome(of(a=1, b=2), of(a=1, b=2, c=3))
    assert found.kind == "right"
    assert "2 small calls" in found.reason
    assert "none are stored of c float32" in found.reason
    assert outcome(of(a=1, b=2), of(a=1, b=5, c=3)).kind == "wrong"
    assert outcome(of(a=1, b=2), of(a=1, b=2)).reason.endswith("those that were accepted")


def test_other_calls_do_not_compare() -> None:
    assert outcome(of(b=2), of(a=1, b=2)).kind == "unknown"
    assert outcome(of(a=1, b=2), of(a=1)).kind == "unknown"


def step(name: str) -> Step:
    return Step(operation=f"aten::{name}", shape=(4, 4), where=Where("tower.py:1"))


class Calls:
    """Stands in for a tower of another process, and for that process."""

    exchange = Path()

    def __init__(self, made: list[str], fed: Fed) -> None:
        self.made, self.fed = made, fed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def build(self) -> tuple[Calls, Answer]:
        kind = {"input": "images" if isinstance(self.fed, Images) else "patches"}
        return self, Answer(fed=kind | vars(self.fed))

    def to(self, dtype: str) -> None:
        self.made.append(dtype)

    def __call__(self, pixels: torch.Tensor, grid_thw: torch.Tensor) -> torch.Tensor:
        self.made.append(f"{len(grid_thw)}")
        return torch.ones(2, 8)

    def work(self, fed: Fed, dtype: str, *, is_warm: bool = False) -> Work:
        self.made.append(f"{'warm ' * is_warm}work in {dtype}")
        return (step("mm"),)


@pytest.mark.parametrize(
    ("fed", "dtype", "made"),
    [
        (Preprocessing(), "float32", ["3", "warm work in float32", "3"]),
        (Preprocessing(), "bfloat16", ["bfloat16", "3", "warm work in bfloat16"]),
        (Images(size=16), "float32", ["4", "float32", "work in float32"]),  # none of its calls has as many images
    ],
)
def test_work_is_seen_on_a_call_of_which_the_tower_had_another(
    fed: Fed, dtype: str, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = list[str]()
    monkeypatch.setattr("vlbench.trial.own_check.Remote", lambda start, timeout: Calls(found, fed))
    _, work = _outputs("toy:Tower", OwnCheck(tower="toy:Tower", dtype=dtype, threads=1, timeout=1.0))
    assert len(work) == 1
    assert ",".join(made) in ",".join(found)
    assert sum("work" in each for each in found) == 1


@pytest.mark.parametrize(("is_warm", "calls"), [(True, 1), (False, 2)])
def test_a_tower_that_had_no_such_call_gets_one_before(is_warm: bool, calls: int) -> None:
    asked = list[object]()

    def ask(what: object) -> Answer:
        asked.append(what)
        return Answer(work=(step(f"{len(asked)}"),))

    remote: Any = SimpleNamespace(hand=lambda *inputs: None, ask=ask)
    (found,) = RemoteTower(remote, 1).work(Preprocessing(), "float32", is_warm=is_warm)
    assert (len(asked), found.operation) == (calls, f"aten::{calls}")
