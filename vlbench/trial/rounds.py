"""Rounds: every variant once, in an order drawn afresh, with the yardstick among them.

The ratio of two times of one round is the datum. Whatever slows the machine for a while slows both.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median

from vlbench.trial.clock import Call, Clock

WARM_UP_CALLS = 20
SETTLED = 0.05
MIN_ROUNDS = 6
"""The fewest that give an interval of 95 % for a median."""


def warm_up(call: Call, clock: Clock) -> None:
    """Call until the median of the last three differs by at most 5 % from that of the three before."""
    times: list[float] = []
    for _ in range(WARM_UP_CALLS):
        times.append(clock(call))
        if len(times) >= 6 and abs(median(times[-3:]) / median(times[-6:-3]) - 1) < SETTLED:
            return


def run_rounds(
    calls: Mapping[str, Call], clock: Clock, *, seconds: float, seed: int, now: Callable[[], float] = time.monotonic
) -> Iterator[dict[str, float]]:
    """Rounds for `seconds`, but at least MIN_ROUNDS; each as seconds by name."""
    order, draw, end, done = list(calls), random.Random(seed), now() + seconds, 0
    while done < MIN_ROUNDS or now() < end:
        draw.shuffle(order)
        times = {name: clock(calls[name]) for name in order}
        yield {name: times[name] for name in calls}
        done += 1


@contextmanager
def without_collector() -> Iterator[None]:
    """No garbage collection inside: it would strike one variant with what all have left behind."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
