from __future__ import annotations

from vlbench.implementations.stage import listen, stage
from vlbench.profiling.clock import StageClock
from vlbench.profiling.overhead import REPEATS, STAGES, cost_of_a_stage, settings, stages_in


def test_all_stages_of_a_call_are_counted() -> None:
    def call() -> None:
        for _ in range(3):
            with stage("a"), stage("b"):
                pass

    assert stages_in(call) == 6


def test_a_setting_is_measured_while_it_holds() -> None:
    clock = StageClock()
    assert cost_of_a_stage(lambda: listen(clock)) > 0
    assert clock.times()["stage"].visits > REPEATS * STAGES


def test_cuda_events_are_measured_only_where_they_exist() -> None:
    assert "CUDA events" in settings(cuda=True)
    assert "CUDA events" not in settings(cuda=False)
