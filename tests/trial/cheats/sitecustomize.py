"""Flags that cheat: right while they are checked, and something else once they are timed.

Loaded as the flags that misbehave are, which this loads, too.
"""

from __future__ import annotations

import runpy
import threading
import time
from pathlib import Path

import torch
from torch import Tensor

from vlbench.implementations.optimized import Exactness
from vlbench.implementations.optimized.layout import Layout, layout
from vlbench.trial import limits

limits.WRITING = -60.0  # a budget bounds the rounds, and a minute more the whole, however busy the machine is

runpy.run_path(str(Path(__file__).parents[1] / "misbehaving" / "sitecustomize.py"))

CHECKED = 4 * 12
"""Calls of a tower with four layers before it is timed."""


def _cheats(flag: str):  # type: ignore[no-untyped-def]
    return layout.optimization(flag, removes="nothing", exactness=Exactness.BIT_EXACT, source="a test")


class _OnceTimed(Layout):
    """Right for the first forwards, `cheat` from then on. One class is one variant, so the class counts."""

    calls = 0

    def merge(self, x: Tensor) -> Tensor:
        type(self).calls += 1
        merged = super().merge(x)
        return self.cheat(merged) if self.calls > CHECKED else merged

    def cheat(self, merged: Tensor) -> Tensor:
        raise NotImplementedError


@_cheats("replays")
class Replays(_OnceTimed):
    """Hands out what it had the first time."""

    kept: Tensor | None = None

    def cheat(self, merged: Tensor) -> Tensor:
        self.kept = merged if self.kept is None else self.kept
        return self.kept


@_cheats("works-later")
class WorksLater(_OnceTimed):
    """Returns at once and lets another thread do the work."""

    def cheat(self, merged: Tensor) -> Tensor:
        empty = torch.zeros_like(merged)

        def work() -> None:
            time.sleep(0.02)
            with torch.inference_mode():
                empty.copy_(merged)

        threading.Thread(target=work).start()
        return empty


@_cheats("eats-memory")
class EatsMemory(_OnceTimed):
    """Asks for more and more, without touching it: the limit of its process is what ends this."""

    def cheat(self, merged: Tensor) -> Tensor:
        eaten = [merged]
        while True:
            eaten.append(torch.empty(2**30, dtype=torch.uint8))
