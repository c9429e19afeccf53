"""Outputs that were stored on fewer calls than are made today."""

from __future__ import annotations

import torch

from vlbench.record.outputs import StoredCall, StoredOutputs, StoredPart
from vlbench.trial.checks import Outcome
from vlbench.trial.own_check import _compared
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
