"""Two shares of right answers: may the difference be the luck of which questions were asked?

The interval is Newcombe's for the difference of independent shares (method 10; Statistics in Medicine 17, 1998), made
of Wilson's for each (Journal of the American Statistical Association 22, 1927). Both sides answer the same questions,
which makes their difference a little surer than that; so do several runs of one side, which are averaged, not pooled.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist, fmean

from vlbench.judging.unpaired import LUCK, USUAL, RunFloors, would_do
from vlbench.judging.verdict import Judgement, Verdict
from vlbench.judging.vote import POWER
from vlbench.judging.words import number_of, percent
from vlbench.record.directions import Better
from vlbench.record.runs import Metric
from vlbench.stats.paired import Estimate

TOLD = NormalDist().inv_cdf(POWER)
"""Standard errors beyond a limit at which four cases in five are beyond it."""
MOST_ANSWERS = 10**9


def compare_shares(before: Sequence[Metric], after: Sequence[Metric], floors: RunFloors) -> Judgement:
    """The verdict on one score. All lie between 0 and 1, 0 excluded, with the same unit and direction."""
    (old, asked), (new, answered) = _side(before), _side(after)
    low, high = difference(old, asked, new, answered, floors.confidence)
    usual = difference(old, asked, new, answered, USUAL)
    points = f"{100 * (new - old):+.1f} points, +-{50 * (usual[1] - usual[0]):.1f} ({USUAL:.0%})"
    of = f"of {number_of(round(answered), 'answer')}"
    if round(asked) != round(answered):
        of = f"of {round(asked):,} and {round(answered):,} answers"
    visible = _detectable(old, asked, answered, floors)
    estimate = _estimate(old, new, low, high, before[0].better, len(before) + len(after), floors.confidence)
    floor = floors.relative * old
    if before[0].better is Better.LOWER:
        low, high = -high, -low
    if high < -floor:
        return Judgement(Verdict.REGRESSED, f"worse: {points} {of}", estimate, visible)
    if low > floor:
        return Judgement(Verdict.IMPROVED, f"better: {points} {of}", estimate, visible)
    if visible <= floors.threshold and max(-low, high) <= floors.threshold * old:
        return Judgement(Verdict.SAME, f"{points} {of}: {percent(visible)} would have shown", estimate, visible)
    words = "not distinguishable" if low <= 0 <= high else f"not shown to exceed {percent(floors.relative)}"
    likely, _ = wilson(
        old, asked, POWER
    )  # of a smaller share the threshold is a smaller part, which takes more answers
    needed = would_do(
        lambda answers, size: _decides(likely, size, answers, floors),
        min(abs(new - old), old if old > 0.5 else 1 - old),
        not usual[0] <= 0 <= usual[1],
        math.ceil(min(asked, answered)),
        MOST_ANSWERS,
        "answers",
    )
    return Judgement(Verdict.INCONCLUSIVE, f"{words}: {points} {of}; {needed}", estimate, visible)


def _decides(share: float, size: float, answers: int, floors: RunFloors) -> bool:
    """Would so many answers a side end in a verdict, in most cases, where the other share is off by `size`?"""
    visible = _detectable(share, answers, answers, floors)
    low, high = difference(share, answers, share, answers, floors.confidence)
    same = size + (high - low) / 2 + LUCK * _error(share, answers, share, answers) <= floors.threshold * share
    return (visible <= floors.threshold and same) or visible * share <= size


@lru_cache(maxsize=4096)
def _detectable(share: float, asked: float, answered: float, floors: RunFloors) -> float:
    """The smallest change, as a share of the share, that is called in four cases of five.

    It is one towards a half, where luck is largest. A change that is larger than can be is not called at all.
    """
    from scipy.optimize import brentq

    way = -1 if share > 0.5 else 1
    most = share if way < 0 else 1 - share

    def missing(size: float) -> float:
        """How much the interval lacks to leave the floor out, with luck against it."""
        other = share + way * size
        low, high = difference(share, asked, other, answered, floors.confidence)
        nearest = low if way > 0 else -high
        return floors.relative * share + TOLD * _error(share, asked, other, answered) - nearest

    lacking = missing(most)
    return (float(brentq(missing, 0.0, most)) if lacking < 0 else most + lacking) / share


def difference(old: float, asked: float, new: float, answered: float, confidence: float) -> tuple[float, float]:
    """The interval of `new` - `old`, shares of `asked` and `answered` answers (which need not be whole)."""
    (old_low, old_high), (new_low, new_high) = wilson(old, asked, confidence), wilson(new, answered, confidence)
    middle = new - old
    return middle - math.hypot(new - new_low, old_high - old), middle + math.hypot(new_high - new, old - old_low)


def wilson(share: float, answers: float, confidence: float) -> tuple[float, float]:
    """The interval of a share of `answers` answers that were right."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    scale = 1 + z**2 / answers
    middle = (share + z**2 / (2 * answers)) / scale
    half = z / scale * math.sqrt(_variance(share) / answers + (z / (2 * answers)) ** 2)
    return middle - half, middle + half


def _side(metrics: Sequence[Metric]) -> tuple[float, float]:
    """The mean share, and the answers of a single run."""
    return fmean(metric.value for metric in metrics), min(metric.answers for metric in metrics)


def _variance(share: float) -> float:
    return share * (1 - share)


def _error(old: float, asked: float, new: float, answered: float) -> float:
    return math.sqrt(_variance(old) / asked + _variance(new) / answered)


def _estimate(
    old: float, new: float, low: float, high: float, better: Better, runs: int, confidence: float
) -> Estimate:
    """Of what it costs: after / before where less is better, and the other way round."""
    ratios = [max(old + shift, 1e-9) / old for shift in (low, new - old, high)]
    if better is Better.HIGHER:
        ratios = [1 / ratio for ratio in reversed(ratios)]
    return Estimate(ratios[1], ratios[0], ratios[2], runs, confidence)
