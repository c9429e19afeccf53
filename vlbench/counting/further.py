"""Further calls of a tower, on small grids: what two forwards on one grid cannot show.

One grid several times, in inference mode, in no_grad and with gradients on, with the variable CI set and not, also when
the tower is built; several items in a call; grids that were never seen. One of our models stands in its smallest size
for all.
"""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import nn

from vlbench.counting_device import CountingDevice
from vlbench.counting_device.tensor import DeviceTensor
from vlbench.errors import UsageError, in_one_line
from vlbench.implementations.adapted import handed_over
from vlbench.implementations.config import MODELS
from vlbench.implementations.output import unpack
from vlbench.implementations.preprocessing import Fed, Grid, Images
from vlbench.record.counted import Further
from vlbench.towers.tower import Tower

COUNTERS = ("host_syncs", "uploads", "attention_calls", "device_operations")
NEW_GRIDS = 8
"""After which the bytes that are still alive are looked at."""
_ONE: tuple[Grid, ...] = ((1, 2, 2),)
_SEVERAL: tuple[Grid, ...] = ((1, 1, 2), (2, 1, 2), (1, 2, 1))
_OURS = re.compile(r"(?<![\w.-])(" + "|".join(map(re.escape, sorted(MODELS, key=len, reverse=True))) + r")(?=\+|$)")

Build = Callable[[Tower], nn.Module]
Mode = Callable[[], AbstractContextManager[object]]


def smallest(text: str) -> str:
    """The tower that stands for one of ours: the same at the smallest size of its family."""

    def of_family(match: re.Match[str]) -> str:
        family = MODELS[match[1]].family
        return next(name for name, each in MODELS.items() if each.family == family and name.endswith("-tiny"))

    return _OURS.sub(of_family, text)


def count_further(device: CountingDevice, tower: Tower, build: Build, dtype: torch.dtype) -> Further:
    """The counts of all further calls. A call that raises has its reason in place of counts."""
    made = _Calls(device, tower, dtype)
    module = build(tower)
    start = made.live_bytes()
    made.call("first call", module, _ONE)
    alike = ["second call", "third call", "fourth call", "no_grad", "gradients on", "CI turned"]
    for name in alike[:3]:
        made.call(name, module, _ONE)
    made.call(alike[3], module, _ONE, torch.no_grad)
    made.call(alike[4], module, _ONE, torch.enable_grad)
    with _ci_turned():
        made.call(alike[5], module, _ONE)
    made.call("several items", module, _SEVERAL)
    made.call("the same items again", module, _SEVERAL)
    with _ci_turned():
        other = build(tower)
        made.call("", other, _ONE)
        made.call("built with CI turned", other, _ONE)
    del other
    for number in range(NEW_GRIDS):
        made.call("", module, ((1, 3 + number % 4, 3 + number // 4),))
    calls = made.calls
    wanted = calls.get(alike[0])
    odd = [name for name in (*alike[1:], "built with CI turned") if wanted and calls.get(name, wanted) != wanted]
    return Further(calls=calls, uneven=tuple(odd), kept_bytes=made.live_bytes() - start, failed=made.failed)


class _Calls:
    def __init__(self, device: CountingDevice, tower: Tower, dtype: torch.dtype) -> None:
        self.device, self.fed, self.dtype = device, tower.fed, dtype
        self.calls: dict[str, dict[str, int]] = {}
        self.failed: dict[str, str] = {}

    def call(self, name: str, module: nn.Module, cells: tuple[Grid, ...], mode: Mode = torch.inference_mode) -> None:
        """Count one call under this name; nothing is kept of one without."""
        grids = _grids(self.fed, cells)
        try:
            with mode():
                pixels = self.device.pixels(self.fed.pixels_shape(grids), self.dtype)
                grid_thw = handed_over(module, pixels, torch.tensor(grids, dtype=torch.int64))
                with self.device.count() as counter:
                    unpack(module(pixels, grid_thw), DeviceTensor)
        except Exception as error:  # whatever a tower raises
            if name:
                self.failed[name] = str(error) if isinstance(error, UsageError) else in_one_line(error)
            return
        if name:
            self.calls[name] = {each: getattr(counter.report.total, each) for each in COUNTERS}

    def live_bytes(self) -> int:
        """On the device, right now."""
        gc.collect()
        with self.device.count() as counter:
            pass
        return counter.report.live_bytes_before


def _grids(fed: Fed, cells: tuple[Grid, ...]) -> tuple[Grid, ...]:
    if isinstance(fed, Images):
        return (fed.grid,) * len(cells)
    return tuple((t, h * fed.merge_size, w * fed.merge_size) for t, h, w in cells)


@contextmanager
def _ci_turned() -> Iterator[None]:
    """CI is set inside where it was not, and else it is not."""
    before = os.environ.pop("CI", None)
    if before is None:
        os.environ["CI"] = "true"
    try:
        yield
    finally:
        os.environ.pop("CI", None)
        if before is not None:
            os.environ["CI"] = before
