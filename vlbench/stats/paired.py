"""One trial's rounds become one paired ratio with an interval.

The convention, here and everywhere: ratio = time of the variant / time of the reference tower, so that a ratio above 1
is slower; the speed-up shown to people is 1 / ratio.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import comb
from statistics import NormalDist, median


@dataclass(frozen=True)
class Estimate:
    """A ratio and the interval that covers it."""

    ratio: float
    """Time of the variant / time of the reference tower: above 1 is slower."""
    low: float
    high: float
    rounds: int
    """What it rests on: rounds within a trial, trials in a vote, runs between files."""
    confidence: float
    """The coverage that the interval really has, not the one asked for: few rounds cannot give much."""

    @property
    def speedup(self) -> float:
        """How many times faster than the reference tower: 1 / ratio."""
        return 1 / self.ratio

    @property
    def half_width(self) -> float:
        """Half the interval as a share of the ratio: 0.01 is plus or minus 1 %."""
        return math.sqrt(self.high / self.low) - 1

    @property
    def standard_error(self) -> float:
        """Standard error of the log ratio that would give this interval under a normal law; 0 where there is none."""
        if not 0 < self.confidence < 1:
            return 0.0
        return math.log(self.high / self.low) / 2 / NormalDist().inv_cdf((1 + self.confidence) / 2)


def paired_ratio(variant: Sequence[float], reference: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """The ratio of a variant to the reference tower from the rounds of one trial.

    `variant` and `reference` hold seconds, one entry per round; entry i of both comes from round i, so that whatever
    slowed that round slowed both. Raises `ValueError` on different lengths and on times not finite and positive.
    """
    if len(variant) != len(reference):
        raise ValueError(f"{len(variant)} rounds of the variant do not pair with {len(reference)} of the reference")
    for time in (*variant, *reference):
        if not (math.isfinite(time) and time > 0):
            raise ValueError(f"a time of {time} seconds cannot be judged; times are finite and positive")
    return median_ratio([ours / theirs for ours, theirs in zip(variant, reference, strict=True)], confidence=confidence)


def median_ratio(ratios: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """The median of `ratios` with the exact binomial interval of a median.

    The interval runs between two order statistics. How many values lie below the true median is binomial(n, 1/2)
    whatever the distribution, which says how far out the two must be (W. R. Thompson, Annals of Mathematical
    Statistics 7, 1936; Conover, Practical Nonparametric Statistics, section 3.2). It is chosen over a bootstrap
    because it needs no random numbers, assumes no shape, holds at any number of rounds, and is not moved by a few
    wild rounds. Its coverage is at least `confidence`; with fewer rounds than can give that (six for 95 %) it is the
    whole range, and the `confidence` of the answer says what that range is worth. It takes rounds to be independent,
    which rounds of one process never quite are: that is why verdicts come from several trials.

    For an even count the median is the geometric mean of the two values in the middle, so that the inverse of the
    ratios has the inverse median.
    """
    if not ratios:
        raise ValueError("no rounds: a ratio needs at least one")
    middle, low, high, coverage = median_interval([math.log(ratio) for ratio in ratios], confidence=confidence)
    return Estimate(math.exp(middle), math.exp(low), math.exp(high), len(ratios), coverage)


def median_interval(values: Sequence[float], *, confidence: float = 0.95) -> tuple[float, float, float, float]:
    """The median of one value or more, both ends of its interval, and what that covers; see `median_ratio`."""
    ordered, count = sorted(values), len(values)
    rank, coverage = _rank(count, confidence)
    return median(ordered), ordered[rank], ordered[count - 1 - rank], coverage


@lru_cache(maxsize=1024)
def _rank(count: int, confidence: float) -> tuple[int, float]:
    """How many of `count` sorted values lie outside at each end of the interval, and what it covers.

    In whole numbers: 2^count times the binomial's. To import scipy takes most of a second, in the midst of the rounds.
    """
    all_ways = 2**count
    allowed = Fraction((1 - confidence) / 2) * all_ways
    outside, below = 0, 1
    while below + comb(count, outside + 1) < allowed:
        outside += 1
        below += comb(count, outside)
    return outside, max(0.0, 1 - 2 * below / all_ways)


@lru_cache(maxsize=4096)
def student(freedom: float, confidence: float) -> float:
    """Standard errors at either side of an interval, by Student's t."""
    from scipy.special import stdtrit  # what scipy.stats takes, whose import takes a second

    return float(stdtrit(freedom, (1 + confidence) / 2))


def fewest_rounds(confidence: float) -> int:
    """The fewest rounds that give an interval of this confidence for a median: 6 for 95 %, 10 for 99.8 %."""
    return math.ceil(math.log2(2 / (1 - confidence)) - 1e-9)


def precise_enough(estimate: Estimate, *, half_width: float = 0.005, confidence: float = 0.95) -> bool:
    """Whether a trial may stop: the interval is narrow enough, and worth the confidence asked for.

    The rule looks at the width alone, never at where the interval lies, so that stopping early does not favour either
    answer (fixed-width sequential intervals: Chow and Robbins, Annals of Mathematical Statistics 36, 1965).
    """
    return estimate.confidence >= confidence and estimate.half_width <= half_width
