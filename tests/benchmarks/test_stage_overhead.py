"""What a stage costs with nobody listening and with each listener, and what it costs to mark a timed call.

`vlbench profile --overhead` prints the same costs beside the time of a forward.
"""

from __future__ import annotations

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from vlbench.implementations.stage import stage
from vlbench.nsys.child import window
from vlbench.profiling.overhead import pass_stages, settings

STAGES = 1000


@pytest.mark.parametrize("setting", settings(cuda=torch.cuda.is_available()))
def test_a_stage(benchmark: BenchmarkFixture, setting: str) -> None:
    with settings(cuda=torch.cuda.is_available())[setting]():
        benchmark.pedantic(pass_stages, args=(STAGES,), rounds=20, warmup_rounds=2)
    if benchmark.stats:
        benchmark.extra_info["ns per stage"] = round(benchmark.stats.stats.median / STAGES * 1e9)


def test_an_iteration_that_nobody_captures(benchmark: BenchmarkFixture) -> None:
    """All that a timed call pays for being capturable, and none of it inside its time."""

    def iterations() -> None:
        with window() as count:
            for _ in range(STAGES):
                count()
                with stage("iteration"):
                    pass

    benchmark.pedantic(iterations, rounds=20, warmup_rounds=2)
    if benchmark.stats:
        benchmark.extra_info["ns per iteration"] = round(benchmark.stats.stats.median / STAGES * 1e9)
