from __future__ import annotations

import time

from vlbench.implementations.stage import listening, stage
from vlbench.trial.worker import stages_of


def test_each_stage_has_its_time_in_one_call_in_which_somebody_listens() -> None:
    calls = []

    def run() -> None:
        calls.append(listening())
        with stage("block[0].mlp"), stage("block[1].mlp"):
            time.sleep(0.001)

    found = stages_of("best", run, "cpu")
    assert calls == [True]
    assert found.variant == "best"
    assert set(found.seconds) == {"mlp"}
    assert 0.001 <= found.seconds["mlp"] < 0.1
    assert found.busy_seconds is None
