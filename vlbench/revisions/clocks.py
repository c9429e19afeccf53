"""Two clocks of a tower: that of its own process, and that of whoever told it to work."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

FLOOR = 0.05
"""Of the reference's time: what clocks may differ by."""
SURELY = 1.5
"""How far below the middle of n sorted rounds a reading is that is surely less than their true median: this times the
root of n, three standard deviations of a binomial count with p = 1/2. It is more than that once in 700 times."""
CLOCK = "its own clock shows a gain that is not seen from outside of its process"


@dataclass
class Times:
    """Seconds of one tower, by round."""

    own: list[float] = field(default_factory=list)
    """Of a call, by the clock in its process."""
    passed: list[float] = field(default_factory=list)
    """Of the whole reading, by the clock of who asked for it."""
    worked: list[float] = field(default_factory=list)
    """The same of its processors, which says no more where others want the machine, too."""


def conceals(base: Times, other: Times) -> bool:
    """Is surely less than half of what a tower gains, by its own clock, seen from outside?

    What a reading takes beside its call is the same for all: to make the input, and to hand over the output. What is
    more of it than the reference has in the same rounds was kept off the clock.
    """
    gain = median(base.own) - median(other.own)
    mine, usual = ([seen - own for own, seen in zip(each.own, each.passed, strict=True)] for each in (other, base))
    off = sorted(each - same for each, same in zip(mine, usual, strict=False))
    surely = off[max(0, int(len(off) / 2 - SURELY * len(off) ** 0.5))]
    return gain > 0 and surely > max(gain / 2, FLOOR * median(base.own))


def is_seen(trials: Sequence[tuple[Times, Times]]) -> bool:
    """Is a gain that trials agree on, by their own clocks, seen from outside: half of it, in four trials of five?

    A wait that is gone shows in the time that passed, and work in that of the processors, however busy the machine is.
    """
    gains = {
        clock: [median(getattr(base, clock)) - median(getattr(other, clock)) for base, other in trials]
        for clock in ("own", "passed", "worked")
    }
    shown = (
        sum(2 * seen >= own for seen, own in zip(gains[clock], gains["own"], strict=True))
        for clock in ("passed", "worked")
    )
    return any(each >= 0.8 * len(trials) for each in shown)


def worked(pid: int) -> float:
    """Seconds that a process has worked so far, on all processors; on another system than Linux, that have passed."""
    if sys.platform != "linux":
        return time.perf_counter()
    try:
        return time.clock_gettime((~pid << 3) | 2)  # the clock that clock_getcpuclockid(3) names
    except OSError:  # it has ended
        return 0.0
