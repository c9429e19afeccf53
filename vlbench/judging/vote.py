"""The vote: a change is called when k of n trials, each a process of its own, show it.

The process is the sample. Rounds of one process share its memory layout, its clocks and its luck: pooling the rounds of
five processes calls a third of all identical programs different, while a vote of four in five paired trials beyond
1 % called none of 240 quiet ones. A few processes are plainly wrong by 20 % and more: hence neither a mean nor
unanimity.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from statistics import NormalDist, median

from vlbench.judging.verdict import CALLED, Floors, Judgement, Verdict, missing
from vlbench.judging.words import change, percent
from vlbench.stats.paired import Estimate, median_ratio

POWER = 0.8  # the usual chance with which a "smallest visible" change is to be seen
OF_EACH_VOTE = math.sqrt(POWER)
"""The chance that each of two votes must have where both have to call a change."""
VOTE_FALSE_ALARMS = 3e-4
"""Share of identical programs that a vote of 4 in 5 paired trials beyond 1 % calls different.

Measured on a shared two-core machine, quiet and loaded; the self-test measures it on another.
"""


def vote(trials: Sequence[Estimate], floors: Floors) -> Judgement:
    """The verdict of several trials, each with its paired ratio.

    Trials that crashed are left out of `trials` and cannot vote. One trial gives an estimate and no verdict. Without
    enough votes the row is the same only if no majority leans to one side and this vote would have called a change of
    `floors.threshold` in four cases out of five. What it prints as visible is larger, for a change that is called must
    be confirmed as well.
    """
    if not trials:
        return missing("no trial finished")
    if len(trials) == 1:
        return Judgement(Verdict.INCONCLUSIVE, f"1 trial is a quick look; a verdict needs {floors.n}", trials[0])
    count, needed = len(trials), floors.votes_needed(len(trials))
    beyond = [_beyond(trial.ratio, floors) for trial in trials]
    slower, faster = beyond.count(1), beyond.count(-1)
    if count < needed:
        estimate = median_ratio([trial.ratio for trial in trials])
        few = f"only {count} of {floors.n} trials finished and the vote needs {needed}"
        return Judgement(Verdict.INCONCLUSIVE, few, estimate, slower=slower, faster=faster)
    missed, seen = (visible_effect(trials, floors, power=power) for power in (POWER, OF_EACH_VOTE))
    estimate = together(trials)
    if estimate.half_width > missed:  # by trials that the vote outvotes: they have no say in the interval either
        estimate = together(trials, outvoted(count, needed))
        missed, seen = max(missed, estimate.half_width), max(seen, estimate.half_width)
    verdict, reason = _decide(slower, faster, count, needed, missed <= floors.threshold, seen, estimate, floors)
    return Judgement(verdict, reason, estimate, seen, slower, faster)


def visible_effect(trials: Sequence[Estimate], floors: Floors, *, power: float = POWER) -> float:
    """The smallest change, as a share, that a vote as noisy as this one calls with the chance `power`.

    Each trial votes with the chance that its noise leaves it beyond the floor, and so many of them must. How far from
    the floor a change must lie for that, in units of the spread between trials, is worked out for normal trials. The
    spread leaves out, at each end, the trials that the vote can outvote, and is never taken to be smaller than what the
    rounds within a trial allow: trials that agree better than that agree by luck. Needs at least as many trials as
    votes.
    """
    count, needed = len(trials), floors.votes_needed(len(trials))
    spread = max(_spread(trials, needed), median(trial.standard_error for trial in trials))
    floor = math.log1p(floors.relative)
    return math.expm1(min(floor + spread * _distance(count, needed, power), 700.0))  # beyond 700 a float overflows


def confirm(first: Judgement, second: Judgement) -> Judgement:
    """The verdict after a suspect was measured again from scratch.

    A re-run may only confirm. A change stands when both votes call it in the same direction; it falls when the second
    finds none; anything else is inconclusive. A first vote that called nothing is not changed by a second.
    """
    if first.verdict not in CALLED:
        return first
    if second.verdict is first.verdict:
        return replace(second, reason=f"{second.reason}; two votes agree")
    stands = second.verdict in (Verdict.SAME, Verdict.INACCURATE)
    reason = f"{first.verdict} in the first vote, not confirmed by the second: {second.reason}"
    return replace(second, verdict=second.verdict if stands else Verdict.INCONCLUSIVE, reason=reason)


def unconfirmed(first: Judgement, lost: Sequence[str]) -> Judgement:
    """No verdict, where no trial that was to confirm a change finished; `lost` says how trials ended."""
    if first.verdict not in CALLED:
        return first
    why = next((each for each in lost if each.startswith("confirming")), "there was no time left")
    return replace(first, verdict=Verdict.INCONCLUSIVE, reason=f"{first.reason}; not confirmed: {why}")


def settled(first: Judgement, second: Judgement | None, lost: Sequence[str], odd: str) -> Judgement:
    """The verdict after both votes, or where no trial of the second one finished; `odd` is why the run proves nothing.

    `lost` says how trials ended.
    """
    judged = confirm(first, second) if second else unconfirmed(first, lost)
    return replace(judged, verdict=Verdict.INCONCLUSIVE, reason=odd) if odd else judged


def expected_false_rows(rows: int, rate: float = VOTE_FALSE_ALARMS) -> float:
    """How many of `rows` rows are called although nothing changed, at `rate` false alarms per row."""
    return rows * rate


def _beyond(ratio: float, floors: Floors) -> int:
    """1 for a trial that votes slower, -1 for faster, 0 for neither. The floor is symmetric in the logarithm."""
    if abs(math.log(ratio)) <= math.log1p(floors.relative):
        return 0
    return 1 if ratio > 1 else -1


def _decide(
    slower: int, faster: int, count: int, needed: int, is_sharp: bool, seen: float, estimate: Estimate, floors: Floors
) -> tuple[Verdict, str]:
    middle = f"median {change(estimate.ratio)}"
    for votes, verdict, word in ((slower, Verdict.REGRESSED, "slower"), (faster, Verdict.IMPROVED, "faster")):
        leaning = f"{votes} of {count} trials are {word} by more than {percent(floors.relative)}, {middle}"
        if votes >= needed:
            return verdict, leaning
        if 2 * votes > count:
            return Verdict.INCONCLUSIVE, f"{leaning}; a verdict needs {needed}"
    if not is_sharp:
        blind = f"this run shows changes from {percent(seen)} on, and the threshold is {percent(floors.threshold)}"
        return Verdict.INCONCLUSIVE, blind
    counts = f"{slower} of {count} trials are slower and {faster} faster"
    return Verdict.SAME, f"{counts}; a change of {percent(floors.threshold)} would have shown"


def outvoted(count: int, needed: int) -> int:
    """Trials at one end that cannot turn the vote, as far as two remain to measure a spread with."""
    return min(count - needed, (count - 2) // 2)


def together(trials: Sequence[Estimate], left_out: int = 0) -> Estimate:
    """The median of the trials with its interval of 95 %, or the one that leaves out so many trials at each end."""
    count = len(trials)
    if count == 1:
        return trials[0]
    covers = 1 - 2 * sum(math.comb(count, outside) for outside in range(left_out + 1)) / 2**count
    return median_ratio([trial.ratio for trial in trials], confidence=covers - 1e-9 if left_out else 0.95)


@lru_cache(maxsize=64)
def _distance(count: int, needed: int, power: float) -> float:
    """How far beyond the floor a change must lie, in measured spreads, for the vote to be carried with that chance.

    The spread that names the change is an estimate, and of few trials: so it is drawn again and again, always alike.
    """
    import numpy as np
    from scipy.optimize import brentq
    from scipy.stats import binom, norm

    draws = np.sort(np.random.default_rng(0).normal(size=(4000, count)))
    cut = outvoted(count, needed)
    spreads = (draws[:, count - 1 - cut] - draws[:, cut]) * _per_distance(count, cut)
    return float(brentq(lambda far: power - binom.sf(needed - 1, count, norm.cdf(far * spreads)).mean(), 0.0, 1e3))


def _per_distance(count: int, cut: int) -> float:
    """The standard deviation over the distance of two order statistics, `cut` from either end of a normal sample.

    By Blom's scores (Statistical Estimates and Transformed Beta-Variables, 1958).
    """
    return -0.5 / NormalDist().inv_cdf((cut + 1 - 0.375) / (count + 0.25))


def _spread(trials: Sequence[Estimate], needed: int) -> float:
    """Standard deviation of the log ratios, from the distance of two order statistics."""
    logs = sorted(math.log(trial.ratio) for trial in trials)
    cut = outvoted(len(logs), needed)
    return (logs[len(logs) - 1 - cut] - logs[cut]) * _per_distance(len(logs), cut)
