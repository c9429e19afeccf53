"""Two clocks of a tower: that of its own process, and that of whoever told it to work."""

from dataclasses import dataclass, field
from statistics import median, quantiles

FLOOR = 0.05
"""Of the reference's time: what clocks may differ by."""
CLOCK = "its own clock shows a gain that is not seen from outside of its process"


@dataclass
class Times:
    """Seconds of one tower, by round."""

    own: list[float] = field(default_factory=list)
    """Of a call, by the clock in its process."""
    seen: list[float] = field(default_factory=list)
    """Of a turn, which has two calls, by the clock here."""


def conceals(base: Times, other: Times) -> bool:
    """Is less than half of what a tower gains, by its own clock, seen from here?

    What turns take beyond two readings is about the same for all: to make inputs, and to hand over an output. What is
    more of it in three rounds of four was kept off the clock.
    """
    gain = median(base.own) - median(other.own)
    beyond = [seen - 2 * own for own, seen in zip(other.own, other.seen, strict=True)]
    usual = [seen - 2 * own for own, seen in zip(base.own, base.seen, strict=False)]
    off = [each - same for each, same in zip(beyond, usual, strict=False)]
    return gain > 0 and len(off) > 1 and quantiles(off, n=4)[0] > max(gain, FLOOR * median(base.own))
