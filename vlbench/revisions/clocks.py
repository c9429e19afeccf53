"""Two clocks of a tower: that of its own process, and that of whoever told it to work."""

from dataclasses import dataclass, field
from statistics import median

FLOOR = 0.05
"""Of the reference's time: what clocks may differ by."""
SURELY = 1.5
"""Roots of the number of rounds below the middle one: the median lies above, but for one time in 700."""
CLOCK = "its own clock shows a gain that is not seen from outside of its process"


@dataclass
class Times:
    """Seconds of one tower, by round."""

    own: list[float] = field(default_factory=list)
    """Of a call, by the clock in its process."""
    passed: list[float] = field(default_factory=list)
    """Of the whole reading, by the clock of who asked for it."""


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
