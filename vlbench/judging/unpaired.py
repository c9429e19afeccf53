"""Runs before against runs after, when nothing pairs them: Welch's interval on run-level figures.

All is done in logarithms, so that a change and its inverse are judged alike. The ratio is of cost: time after / time
before, and for a rate before / after, so that above 1 is worse either way.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

from vlbench.judging.verdict import Judgement, Margins, Verdict
from vlbench.judging.vote import POWER
from vlbench.judging.words import change, percent
from vlbench.record.directions import Better
from vlbench.record.runs import Metric
from vlbench.stats.paired import Estimate, median_ratio, student

MOST_RUNS = 1024
"""Nobody is told to run more often."""
USUAL = 0.95
"""The confidence at which people give the margin of a figure; verdicts are of the confidence that was asked for."""
LUCK = NormalDist().inv_cdf((1 + POWER) / 2)
"""Standard errors within which the difference of equals stays in four cases out of five."""


@dataclass(frozen=True, kw_only=True)
class RunFloors(Margins):
    """What independent runs must exceed."""

    confidence: float = 0.99
    """Of the interval. A table has many rows: at 95 % one row in twenty would be called for nothing."""
    runs: int = 3
    """Runs a side below which there is no verdict: two can agree by rounding alone."""


@dataclass(frozen=True)
class LogRuns:
    """The runs of one side, in logarithms."""

    runs: int
    mean: float
    squares: float
    """Sum of squared distances from the mean."""
    within: float
    """Mean squared standard error of a run's own figure, from its samples; 0 where they were not kept."""

    @property
    def variance(self) -> float:
        """Variance between runs, never below what the runs' own samples allow; needs two runs."""
        return max(self.squares / (self.runs - 1), self.within)


def centre(metrics: Sequence[Metric]) -> float:
    """The mean of the logarithms of `metrics`, as that of their `log_runs`."""
    runs, mean = 0, 0.0
    for metric in metrics:
        runs += metric.runs
        mean += (math.log(metric.value) - mean) * metric.runs / runs
    return mean


def log_runs(metrics: Sequence[Metric]) -> LogRuns:
    """The runs behind `metrics`, all of one name; summaries count as the runs they sum up, to first order.

    Means and squares are joined by the pairwise update (Chan, Golub and LeVeque, The American Statistician 37, 1983).
    """
    runs, mean, squares, within = 0, 0.0, 0.0, 0.0
    for metric in metrics:
        gap, total = math.log(metric.value) - mean, runs + metric.runs
        squares += (metric.deviation / metric.value) ** 2 * (metric.runs - 1) + gap**2 * runs * metric.runs / total
        mean += gap * metric.runs / total
        within += metric.runs * _standard_error(metric) ** 2
        runs = total
    return LogRuns(runs, mean, squares, within / runs)


def compare_runs(before: Sequence[Metric], after: Sequence[Metric], floors: RunFloors) -> Judgement:
    """The verdict on one metric. All values are positive and all metrics have the same unit and direction."""
    old, new = log_runs(before), log_runs(after)
    sign = 1 if before[0].better is Better.LOWER else -1
    shift = sign * (new.mean - old.mean)
    if min(old.runs, new.runs) < floors.runs:
        return _too_few(old, new, shift, floors)
    error, freedom = _welch(old, new)
    half, visible = _reach(error, freedom, floors)
    estimate = _estimate(shift, half, old.runs + new.runs, floors.confidence)
    floor, threshold = math.log1p(floors.relative), math.log1p(floors.threshold)
    moved = f"{change(math.exp(sign * shift))}, and the whole interval lies beyond {percent(floors.relative)}"
    counts = f"{old.runs} runs against {new.runs}"
    if shift - half > floor:
        return Judgement(Verdict.REGRESSED, f"worse: {moved}, with {counts}", estimate, visible)
    if shift + half < -floor:
        return Judgement(Verdict.IMPROVED, f"better: {moved}, with {counts}", estimate, visible)
    limit = f"the threshold is {percent(floors.threshold)}"
    if visible > floors.threshold:
        reason = f"{counts} with this spread show changes from {percent(visible)} on, and {limit}"
    elif abs(shift) + half > threshold:
        reason = f"no change is shown, but the interval reaches beyond {percent(floors.threshold)}"
    else:
        return Judgement(Verdict.SAME, f"{counts}: a change of {percent(visible)} would have shown", estimate, visible)
    is_clear = abs(shift) > error * student(freedom, USUAL)
    reason += f"; {_enough(old, new, shift, is_clear, floors)}"
    return Judgement(Verdict.INCONCLUSIVE, reason, estimate, visible)


def _welch(old: LogRuns, new: LogRuns) -> tuple[float, float]:
    """Standard error of the difference and its degrees of freedom (Welch, Biometrika 34, 1947; Satterthwaite).

    Of sides with unequal numbers of runs it is the freedom of the smaller one: how the error divides among such sides
    is a guess from few runs, and by Welch's own freedom the interval covers less than it says.
    """
    parts = [(each.variance / each.runs, each.runs - 1) for each in (old, new)]
    squared = sum(part for part, _ in parts)
    if squared == 0:  # figures that never vary, such as counts: any difference is exact
        return 0.0, 1.0
    if old.runs != new.runs:
        return math.sqrt(squared), min(old.runs, new.runs) - 1.0
    return math.sqrt(squared), 1 / sum((part / squared) ** 2 / freedom for part, freedom in parts)


def _reach(error: float, freedom: float, floors: RunFloors) -> tuple[float, float]:
    """Half the interval in logarithms, and the smallest change, as a share, called in four cases out of five."""
    half = error * student(freedom, floors.confidence)
    known = round(freedom, 1) if freedom < 100 else float(f"{freedom:.3g}")  # a small number is kept to a tenth
    seen = math.log1p(floors.relative) + max(half, error * _shown(known, floors.confidence))
    return min(half, 300.0), math.expm1(min(seen, 300.0))  # a float holds exp(600), not exp(1000)


@lru_cache(maxsize=4096)
def _shown(freedom: float, confidence: float) -> float:
    """The change beyond the floor that is called in four cases of five, in standard errors.

    Both errors are estimates, that of the runs which name the change and that of the runs which are to show it: with
    few runs that makes much of the difference. The mean over both is a sum over their quantiles (chi squared).
    """
    import numpy as np
    from scipy.optimize import brentq
    from scipy.special import gammaincinv, ndtr

    quantile = student(freedom, confidence)
    errors = np.sqrt(2 * gammaincinv(freedom / 2, (np.arange(60) + 0.5) / 60) / freedom)

    def missed(factor: float) -> float:
        return POWER - float(ndtr(factor * errors[:, None] - quantile * errors).mean())

    return float(brentq(missed, quantile, 1e3 * quantile, rtol=1e-4))


def _enough(old: LogRuns, new: LogRuns, shift: float, is_clear: bool, floors: RunFloors) -> str:
    """How many runs a side would end in a verdict, if they went on like these."""
    both = old.variance + new.variance
    squares = (old.variance / both) ** 2 + (new.variance / both) ** 2

    def decides(runs: int, size: float) -> bool:
        freedom = round((runs - 1) / squares)
        luck = 1 + 0.6 / math.sqrt(freedom)  # four estimates of the spread in five are below so much of it
        error = luck * math.sqrt(both / runs)
        half, visible = _reach(error, float(freedom), floors)
        same = visible <= floors.threshold and size + half + LUCK * error <= math.log1p(floors.threshold)
        return same or visible <= math.expm1(size)

    return would_do(decides, shift, is_clear, min(old.runs, new.runs), MOST_RUNS, "runs")


def would_do(
    decides: Callable[[int, float], bool], size: float, is_clear: bool, given: int, most: int, what: str
) -> str:
    """How many of `what` a side would end in a verdict; more than were `given`, and at most `most`.

    `decides` says whether so many do, if the two differ by so much. A difference that is not `is_clear` of none may be
    luck, so that as many are named as would do without any, too.
    """
    if_real = _fewest(lambda count: decides(count, abs(size)), given, most)
    if_luck = if_real if is_clear else _fewest(lambda count: decides(count, 0.0), given, most)
    if if_real is None or if_luck is None:
        return f"even {most:,} {what} a side would not do"
    more = f", {if_real:,} if the difference is as large as it looks" if if_real < if_luck else ""
    return f"about {max(if_real, if_luck):,} {what} a side would do{more}"


def _fewest(decides: Callable[[int], bool], given: int, most: int) -> int | None:
    few, many = given, given + 1
    while not decides(many):
        few, many = many, 2 * many
        if many > most:
            return None
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if decides(middle) else (middle, many)
    return many


def _too_few(old: LogRuns, new: LogRuns, shift: float, floors: RunFloors) -> Judgement:
    """No verdict; the estimate is what the samples within the files say of themselves, where they were kept."""
    half, confidence = 0.0, 0.0
    if old.within and new.within:
        half = math.sqrt(old.within / old.runs + new.within / new.runs)
        half, confidence = half * NormalDist().inv_cdf((1 + floors.confidence) / 2), floors.confidence
    counts = "1 run a side" if old.runs == new.runs == 1 else f"{old.runs} and {new.runs} runs"
    reason = f"{counts} cannot show how runs differ; give {floors.runs} a side or more"
    if confidence:
        reason += " (the interval covers the samples inside the files alone)"
    return Judgement(Verdict.INCONCLUSIVE, reason, _estimate(shift, half, old.runs + new.runs, confidence))


def _estimate(shift: float, half: float, runs: int, confidence: float) -> Estimate:
    """Of a change and half its interval, both in logarithms; a float holds no more than exp(709)."""
    ratio, low, high = (math.exp(max(-700.0, min(each, 700.0))) for each in (shift, shift - half, shift + half))
    return Estimate(ratio, low, high, runs, confidence)


def _standard_error(metric: Metric) -> float:
    """Standard error of the log of a run's median; 0 where there are too few samples to say or none of them varies."""
    if len(metric.samples) < 2 or min(metric.samples) <= 0:
        return 0.0
    return median_ratio(metric.samples).standard_error
