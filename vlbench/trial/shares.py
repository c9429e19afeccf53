"""Where the time of a call goes: its stages, timed in calls of their own, for a listener would show in the others."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import torch

from vlbench.implementations.stage import listen
from vlbench.profiling.busy import gpu_busy_seconds
from vlbench.profiling.clock import StageClock
from vlbench.trial.job import Stages

CALLS = 5


def stages_of(variant: str, run: Callable[[], object], device: str, calls: int = 1) -> Stages:
    """Median seconds by stage over a few calls; on CUDA also the time that the GPU was busy.

    `run` does its work `calls` times.
    """
    on_cuda = device == "cuda"
    clocks = []
    for _ in range(CALLS):
        clock = StageClock(torch.cuda.synchronize if on_cuda else lambda: None)
        with listen(clock):
            run()
        clocks.append(clock.seconds)
    seconds = {name: median(one[name] for one in clocks) for name in clocks[0]}
    busy = gpu_busy_seconds(run) if on_cuda else None
    return Stages(variant=variant, seconds=seconds, busy_seconds=busy and busy / calls)
