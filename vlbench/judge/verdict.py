"""What can be said of one row, and the floors that must be passed before it is said."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from vlbench.errors import UsageError
from vlbench.judge.paired import Estimate


class Verdict(StrEnum):
    """The six states of a row."""

    IMPROVED = "improved"
    SAME = "same"
    REGRESSED = "regressed"
    INCONCLUSIVE = "inconclusive"
    MISSING = "missing"
    INACCURATE = "inaccurate"


@dataclass(frozen=True)
class Floors:
    """What evidence must exceed.

    The first four decide whether a change is called; the last decides what may be said when none is.
    """

    k: int = 4
    """Trials, of `n`, that must agree on the direction: the statistical floor. More than half of `n`."""
    n: int = 5
    """Trials planned."""
    relative: float = 0.01
    """The change a trial must show to vote, as a share: 0.01 is 1 %."""
    absolute: float = 0.0
    """The change a trial must show to vote, in seconds."""
    threshold: float = 0.05
    """The change that must not go unseen, as a share: a row that could not have shown it is never called same."""

    def __post_init__(self) -> None:
        if not 1 <= self.k <= self.n or 2 * self.k <= self.n:
            raise UsageError(f"{self.k} of {self.n} trials is not a majority vote; let k lie above n/2, up to n")
        for name in ("relative", "absolute", "threshold"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise UsageError(f"the {name} floor is {value}; give a number that is zero or more")
        if self.threshold <= self.relative:
            raise UsageError(
                f"the threshold ({self.threshold:.2%}) must lie above the relative floor ({self.relative:.2%}), "
                "as a change at the floor is never seen reliably"
            )

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
    """Median ratio of the trials with its interval; its `rounds` are trials."""
    visible: float | None = None
    """The smallest change, as a share, that this run would have called in four cases out of five."""
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
