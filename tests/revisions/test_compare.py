from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.record.records import FINGERPRINT
from vlbench.judging.verdict import Verdict
from vlbench.record.schema import Device
from vlbench.revisions.compare import FalseAlarms, Run, sentence, shipped
from vlbench.revisions.request import Way

SAME, CALLED = Verdict.SAME, Verdict.IMPROVED


def run(*verdicts: Verdict, way: Way = Way.ONE_PROCESS) -> Run:
    return Run(way=way, verdicts=verdicts, ratios=(1.0,), visible=(0.01,), seconds=60.0)


def measured(*runs: Run, device: Device = "cpu") -> FalseAlarms:
    return FalseAlarms(
        created=datetime(2026, 1, 1, tzinfo=UTC), fingerprint=FINGERPRINT, device=device, command="ab", runs=runs
    )


def test_each_way_has_its_own_rate() -> None:
    found = measured(run(SAME), run(SAME), run(CALLED, way=Way.LOCK_STEP))
    assert sentence(found, Way.ONE_PROCESS, "cpu", "revision") == (
        "both revisions shared one process and its rounds; "
        "0 of 2 identical pairs called different (at most 77.6 %), measured on a CPU"
    )
    assert "1 of 1 identical pairs" in sentence(found, Way.LOCK_STEP, "cpu", "revision")


def test_what_was_not_measured_is_said_so() -> None:
    one = measured(run(SAME))
    for found, way, device in (
        (None, Way.ONE_PROCESS, "cpu"),
        (one, Way.LOCK_STEP, "cpu"),
        (one, Way.ONE_PROCESS, "cuda"),
    ):
        said = sentence(found, way, device, "revision")  # type: ignore[arg-type]
        assert "how often that calls identical revisions different is not measured on a" in said


def test_what_is_shipped_can_be_read() -> None:
    found = shipped()
    if found is None:
        pytest.skip("nothing has been measured yet")
    assert {each.way for each in found.runs} <= set(Way)
    assert all(sentence(found, way, found.device, "revision") for way in Way)
