"""Two shares of right answers: may the difference be the luck of which questions were asked?

The interval is Newcombe's for the difference of independent shares (method 10; Statistics in Medicine 17, 1998), made
of Wilson's for each (Journal of the American Statistical Association 22, 1927). Both sides answer the same questions,
which makes their difference a little surer than that; so do several runs of one side, which are averaged, not pooled.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean

from vlbench.judging.unpaired import RunFloors
from vlbench.judging.verdict import Judgement, Verdict
from vlbench.judging.vote import POWER
from vlbench.judging.words import percent
from vlbench.record.directions import Better
from vlbench.record.runs import Metric
from vlbench.stats.paired import Estimate

USUAL = 0.95
"""The confidence at which people give the margin of an accuracy; verdicts are of the confidence that was asked for."""


def compare_shares(before: Sequence[Metric], after: Sequence[Metric], floors: RunFloors) -> Judgement:
    """The verdict on one score. All lie between 0 and 1, 0 excluded, with the same unit and direction."""
    (old, asked), (new, answered) = _side(before), _side(after)
    low, high = difference(old, asked, new, answered, floors.confidence)
    usual = difference(old, asked, new, answered, USUAL)
    points = f"{100 * (new - old):+.1f} points, +-{50 * (usual[1] - usual[0]):.1f} ({USUAL:.0%})"
    of = f"of {asked:.0f} answers" if round(asked) == round(answered) else f"of {asked:.0f} and {answered:.0f} answers"
    error = math.sqrt(_variance(old) / asked + _variance(new) / answered)
    reach = NormalDist().inv_cdf((1 + floors.confidence) / 2) + NormalDist().inv_cdf(POWER)
    visible = floors.relative + max(reach * error, (high - low) / 2) / old
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
    wanted = max(floors.threshold * old, abs(new - old)) - floor
    likely = [fmean(wilson(*each, floors.confidence)) for each in ((old, asked), (new, answered))]
    enough = math.ceil(sum(map(_variance, likely)) * (reach / wanted) ** 2)
    words = "not distinguishable" if low <= 0 <= high else f"not shown to exceed {percent(floors.relative)}"
    reason = f"{words}: {points} {of}; about {enough:,} answers a side would do"
    return Judgement(Verdict.INCONCLUSIVE, reason, estimate, visible)


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


def _estimate(
    old: float, new: float, low: float, high: float, better: Better, runs: int, confidence: float
) -> Estimate:
    """Of what it costs: after / before where less is better, and the other way round."""
    ratios = [max(old + shift, 1e-9) / old for shift in (low, new - old, high)]
    if better is Better.HIGHER:
        ratios = [1 / ratio for ratio in reversed(ratios)]
    return Estimate(ratios[1], ratios[0], ratios[2], runs, confidence)
