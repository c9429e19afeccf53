"""Further calls of a tower, on small grids: what two forwards on one grid cannot show.

One grid several times, in inference mode, in no_grad and with gradients on, with the variable CI set and not, also when
the tower is built; several items in a call; grids that were never seen. One of our models stands in its smallest size
for all.
"""

import gc
import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import NamedTuple

import torch
from torch import nn

from vlbench.counting_device import CountingDevice
from vlbench.counting_device.steps import steps_taken
from vlbench.counting_device.tensor import DeviceTensor
from vlbench.errors import UsageError, in_one_line
from vlbench.implementations.adapted import handed_over
from vlbench.implementations.config import MODELS
from vlbench.implementations.output import unpack
from vlbench.implementations.preprocessing import FIVE, SEVERAL, Grid
from vlbench.process.ci import ci
from vlbench.record.counted import CHURN, NEWEST_CALL, Further
from vlbench.record.site import Site, Where
from vlbench.record.work import Step, Work
from vlbench.towers.models import smallest_of
from vlbench.towers.tower import Tower

PLANS = "attention_plans"
COUNTERS = ("host_syncs", "allowed_syncs", "uploads", PLANS, "attention_calls", "device_operations")
ONCE = {"stage": "", "times": 1, "bytes": 0}
_OURS = re.compile(r"(?<![\w.-])(" + "|".join(map(re.escape, sorted(MODELS, key=len, reverse=True))) + r")(?=\+|$)")

Build = Callable[[Tower], nn.Module]


class _Call(NamedTuple):
    name: str = ""
    """"" where its counts are not kept."""
    cells: tuple[Grid, ...] = ((1, 2, 2),)
    mode: Callable[[], AbstractContextManager[object]] = torch.inference_mode
    turns_ci: bool = False
    alike: bool = False
    """Has it to count what the second call does?"""
    keeps_work: bool = False
    """Is its work kept, step by step?"""


CALLS = (
    _Call("first call"),
    _Call("second call", alike=True),
    _Call("third call", alike=True),
    _Call("fourth call", alike=True),
    _Call("no_grad", mode=torch.no_grad, alike=True),
    _Call("gradients on", mode=torch.enable_grad, alike=True),
    _Call("CI turned", turns_ci=True, alike=True),
    _Call("several items", SEVERAL),
    _Call("the same items again", SEVERAL, keeps_work=True),
)
CALLS_WHEN_BUILT_AGAIN = (_Call(turns_ci=True), _Call("built with CI turned", turns_ci=True, alike=True))
NEW_GRIDS = tuple(_Call(CHURN, ((1, rows, columns),)) for columns in (3, 4) for rows in (3, 4, 5, 6))
"""Of which the plans are kept, added up. After them the bytes that are still alive are looked at."""
AT_LAST = _Call(NEWEST_CALL, FIVE)
"""After that, so that the bytes stay those that baselines of an earlier vlbench hold."""


def smallest(text: str) -> str:
    """The tower that stands for one of ours: the same at the smallest size of its family."""
    return _OURS.sub(lambda found: smallest_of(MODELS[found[1]].family), text)


def count_further(
    device: CountingDevice, tower: Tower, build: Build, dtype: torch.dtype
) -> tuple[Further, Work | None]:
    """The counts of all further calls, and the work of one; None where floats decide it, or there is none.

    A call that raises has its reason in place of counts.
    """
    made = _Calls(device, tower, dtype)
    device.forget_plans()
    module = build(tower)
    start = made.live_bytes()
    for call in CALLS:
        made.call(call, module)
    with ci("CI" not in os.environ):
        other = build(tower)
    for call in CALLS_WHEN_BUILT_AGAIN:
        made.call(call, other)
    del other
    for call in NEW_GRIDS:
        made.call(call, module)
    calls, (second, *alike) = made.calls, [each.name for each in (*CALLS, *CALLS_WHEN_BUILT_AGAIN) if each.alike]
    wanted = calls.get(second)
    odd = [name for name in alike if wanted and calls.get(name, wanted) != wanted]
    kept = max(0, made.live_bytes() - start)
    if CHURN in made.failed:
        calls.pop(CHURN, None)  # the others of them say nothing
    made.call(AT_LAST, module)
    further = Further(calls=calls, uneven=tuple(odd), kept_bytes=kept, failed=made.failed, allowed=tuple(made.allowed))
    return further, made.work


class _Calls:
    def __init__(self, device: CountingDevice, tower: Tower, dtype: torch.dtype) -> None:
        self.device, self.fed, self.dtype = device, tower.fed, dtype
        self.calls: dict[str, dict[str, int]] = {}
        self.failed: dict[str, str] = {}
        self.allowed: dict[Site, None] = {}
        self.work: Work | None = None

    def call(self, call: _Call, module: nn.Module) -> None:
        """Count one call under its name, of new grids all as one; nothing is kept of a call without."""
        grids, name = self.fed.grids_of(call.cells), call.name
        try:
            with call.mode(), ci(("CI" in os.environ) is not call.turns_ci):
                pixels = self.device.pixels(self.fed.pixels_shape(grids), self.dtype)
                grid_thw = handed_over(module, pixels, torch.tensor(grids, dtype=torch.int64))
                with self.device.count() as counter, ExitStack() as ends:
                    steps = ends.enter_context(steps_taken()) if call.keeps_work else []
                    unpack(module(pixels, grid_thw), DeviceTensor)
        except Exception as error:  # whatever a tower raises
            if name:
                self.failed[name] = str(error) if isinstance(error, UsageError) else in_one_line(error)
            return
        if name:
            so_far, kept = self.calls.get(name, {}), (PLANS,) if name == CHURN else COUNTERS
            self.calls[name] = {each: so_far.get(each, 0) + getattr(counter.report.total, each) for each in kept}
            lines = (cause.model_copy(update=ONCE) for cause in counter.report.causes if cause.allowed)
            self.allowed.update(dict.fromkeys(lines))
        if call.keeps_work and all(each.certain for each in counter.report.assumptions):
            launched = [name for name in counter.report.operations if name.startswith("triton::")]
            self.work = (*steps, *(Step(operation=name, shape=(), where=Where(name)) for name in launched))

    def live_bytes(self) -> int:
        """On the device, right now."""
        gc.collect()
        with self.device.count() as counter:
            pass
        return counter.report.live_bytes_before
