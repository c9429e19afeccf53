"""What a stage costs: without a listener, and with each of them."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from statistics import median

import torch

from vlbench.implementations.stage import Ranges, listen, stage
from vlbench.profiling.clock import EventClock, StageClock
from vlbench.profiling.nvtx import NvtxListener, tool_attached
from vlbench.profiling.tally import Tally
from vlbench.profiling.trace import torch_range

STAGES = 2000
REPEATS = 9

Setting = Callable[[], AbstractContextManager[object]]


def settings(*, cuda: bool) -> dict[str, Setting]:
    """Every way in which a stage can be entered here, by name."""
    tool = "with its tool" if tool_attached() else "no tool attached"
    found: dict[str, Setting] = {
        "no listener": nullcontext,
        f"NVTX, {tool}": lambda: listen(NvtxListener()),
        "host clock": lambda: listen(StageClock()),
        "operation counts": lambda: listen(Tally(lambda: (0, 0))),
        "torch ranges, profiler on": _profiled,
    }
    if cuda:
        found["CUDA events"] = lambda: listen(EventClock())
    return found


@contextmanager
def _profiled() -> Iterator[None]:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]), listen(Ranges(torch_range)):
        yield


def pass_stages(number: int) -> None:
    """Enter and leave that many stages, with nothing in them."""
    for _ in range(number):
        with stage("stage"):
            pass


def _pass_nothing(number: int) -> None:
    for _ in range(number):
        pass


def cost_of_a_stage(setting: Setting) -> float:
    """Seconds for entering and leaving one stage, without the loop around it.

    The quickest of a few passes: whatever else the machine does only adds.
    """
    costs = []
    with setting():
        pass_stages(100)
        for _ in range(REPEATS):
            start = time.perf_counter()
            pass_stages(STAGES)
            middle = time.perf_counter()
            _pass_nothing(STAGES)
            costs.append((middle - start - (time.perf_counter() - middle)) / STAGES)
    return min(costs)


def stages_in(call: Callable[[], object]) -> int:
    """How many stages one call passes through."""
    tally = Tally(lambda: 0)
    with listen(tally):
        call()
    return int(sum(charge.visits for charge in tally.charges(lambda start, end: end - start).values()))


def typical_seconds(call: Callable[[], object], forwards: int) -> float:
    """Median seconds of a call without a listener."""
    times = []
    for _ in range(forwards):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return median(times)
