"""The slow-downs of a self-test on a GPU, through a real job, on what stands in for one."""

from __future__ import annotations

from statistics import median
from typing import Literal

import pytest

from tests.cuda_stand_ins import cuda
from vlbench.cli.self_test import plans_of
from vlbench.record.schema import SlowedOn
from vlbench.selftest.copies import Design
from vlbench.trial.job import Event, Round, Struck, job_of
from vlbench.trial.rounds import HIDDEN
from vlbench.trial.worker import run_job

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("kind", "slowed_on"), [("towers", "stream"), ("towers", "host"), ("seam", "stream")]
)  # here the host computes, so that nothing is hidden from its clock
def test_what_is_injected_is_measured(kind: Literal["towers", "seam"], slowed_on: SlowedOn) -> None:
    design = Design(
        groups=1, copies=1, slowed={1.0: 1}, seconds=0.5, trials=1, kind=kind, device="cuda", slowed_on=slowed_on
    )
    (plan,) = plans_of(design, 0, 1)
    emitted: list[Event] = []
    with cuda():
        run_job(job_of(plan, 0, design.seconds), emitted.append)
    struck = {event.reason for event in emitted if isinstance(event, Struck)}
    assert struck <= ({HIDDEN} if kind == "seam" else set())  # on a busy machine a call of a seam is too short
    rounds = [event.seconds for event in emitted if isinstance(event, Round)]
    copy, slow = (median(one[name] for one in rounds) for name in ("copy 1", "+100% 1"))
    assert 1.5 < slow / copy < 3
