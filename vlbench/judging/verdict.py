"""What can be said of one row, and what evidence must exceed before it is said."""

import math
from dataclasses import dataclass
from enum import StrEnum

from vlbench.errors import UsageError
from vlbench.judging.words import percent
from vlbench.stats.paired import Estimate


class Verdict(StrEnum):
    """The eight states of a row."""

    ACCEPTED = "accepted"
    """It changed, and somebody took the new figures for right."""
    IMPROVED = "improved"
    FEWER = "fewer"
    """A counter fell, and nobody knows whether the result is right."""
    SAME = "same"
    REGRESSED = "regressed"
    INCONCLUSIVE = "inconclusive"
    MISSING = "missing"
    INACCURATE = "inaccurate"


CALLED = (Verdict.IMPROVED, Verdict.REGRESSED)
"""Something changed."""
NO_WORSE = (Verdict.IMPROVED, Verdict.FEWER, Verdict.SAME)
"""It was judged, and is at least as good."""


@dataclass(frozen=True, kw_only=True)
class Margins:
    """What counts as a change, and which change must not go unseen; both as shares, 0.01 is 1 %."""

    relative: float = 0.01
    """A change is called only beyond this."""
    threshold: float = 0.05
    """A row that could not have shown a change of this size is inconclusive, never the same."""

    def __post_init__(self) -> None:
        if not 0 <= self.relative < self.threshold < math.inf:
            raise UsageError(
                f"the threshold ({percent(self.threshold)}) must lie above the floor ({percent(self.relative)}), "
                "for a change of the floor's size is never seen reliably; raise the one or lower the other"
            )


@dataclass(frozen=True, kw_only=True)
class Floors(Margins):
    """What a vote of trials must exceed: k of n agree, each by the floor."""

    k: int = 4
    """Trials, of `n`, that must agree on the direction; more than half of `n`."""
    n: int = 5
    """Trials planned."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.k <= self.n < 2 * self.k:
            raise UsageError(f"{self.k} of {self.n} trials is not a majority vote; let k lie above n/2, up to n")

    def votes_needed(self, trials: int) -> int:
        """Votes needed when `trials` trials finished: never fewer than `k`, and the same share of more than `n`."""
        return max(self.k, math.ceil(trials * self.k / self.n))


@dataclass(frozen=True)
class Judgement:
    """A verdict with what it rests on."""

    verdict: Verdict
    reason: str
    """One plain sentence."""
    estimate: Estimate | None = None
    """Ratio with its interval, over trials or over runs; absent where nothing could be compared."""
    visible: float | None = None
    """The smallest change, as a share, that would have been called, where need be twice, in four cases out of five."""
    slower: int = 0
    """Trials that voted slower."""
    faster: int = 0
    """Trials that voted faster."""


def missing(reason: str) -> Judgement:
    """The judgement of a row that was not measured or cannot be compared."""
    return Judgement(Verdict.MISSING, reason)


def inaccurate(reason: str) -> Judgement:
    """The judgement of a row whose result is wrong: it has no timing."""
    return Judgement(Verdict.INACCURATE, reason)
