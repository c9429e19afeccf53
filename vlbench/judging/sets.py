"""A vote that may go on: further trials are pooled into its sets, so that what can be seen gets smaller.

Twice as many votes see hardly more, since four fifths of them still have to agree. The median of several trials lies
closer to the truth than each of them: the spread of the sets falls as the root of their size. From two trials a set on,
the interval of all trials has a say, too: what is called must lie on one side of no change with all of it, and what is
the same must lie within the threshold with all of it.

Simulated with normal trials that spread by 3 %, of which one in thirty is off by 20 % more, and with as many as are
wanted: identical programs are called in 1 of 2,000 comparisons and 95 of 100 are decided; +5 % is called in 94 of 100.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist, median

from vlbench.judging.verdict import CALLED, Floors, Judgement, Verdict
from vlbench.judging.vote import OF_EACH_VOTE, visible_effect, vote
from vlbench.judging.words import change, percent
from vlbench.stats.paired import Estimate, median_ratio

INTERVAL = 1.96
"""Standard errors at either side of an interval of 95 %."""
CLEAR = 1 + NormalDist().inv_cdf(OF_EACH_VOTE) / INTERVAL
"""Half widths between a change and none, for the interval to leave out "none" with the chance of one vote of two."""
OF_A_MEDIAN = math.pi / 2
"""The variance of a median of many over that of their mean, of normal values."""


def vote_in_sets(trials: Sequence[Estimate], floors: Floors) -> Judgement:
    """The vote of so many sets as `floors` has votes; of fewer than two trials a set it is the usual vote of trials."""
    if len(trials) < 2 * floors.n:
        return vote(trials, floors)
    judged = vote([_together(trials[at :: floors.n]) for at in range(floors.n)], floors)
    whole = median_ratio([trial.ratio for trial in trials])
    low, high = change(whole.low), change(whole.high)
    reach = max(whole.high, 1 / whole.low) - 1
    all_of_it = f"{len(trials)} trials in {floors.n} sets say {low} to {high}"
    if judged.verdict in CALLED:
        is_clear = whole.low > 1 if judged.verdict is Verdict.REGRESSED else whole.high < 1
        verdict = judged.verdict if is_clear else Verdict.INCONCLUSIVE
        reason = f"{judged.reason.replace('trials', 'sets of trials')}; {all_of_it}"
    elif reach <= floors.threshold:
        verdict, reason = Verdict.SAME, f"{all_of_it}, which is within {percent(floors.threshold)}"
    else:
        verdict, reason = Verdict.INCONCLUSIVE, f"{all_of_it}, and the threshold is {percent(floors.threshold)}"
    seen = max(judged.visible or 0.0, whole.half_width * CLEAR)
    return replace(judged, verdict=verdict, reason=reason, estimate=whole, visible=seen)


def shows(trials: Sequence[Estimate], floors: Floors) -> bool:
    """Do so many trials show a change of the threshold, and would they show that there is none?

    That depends on how far trials lie apart and never on where they lie: to go on until then favours no answer.
    """
    if len(trials) < 2 * floors.n:  # five that agree may do so by luck
        return False
    sets = [_together(trials[at :: floors.n]) for at in range(floors.n)]
    whole = median_ratio([trial.ratio for trial in trials])
    return visible_effect(sets, floors) <= floors.threshold and whole.half_width <= floors.threshold / 2


def times_more(visible: float, wanted: float, floors: Floors) -> float:
    """How many times as many trials show a change of `wanted`, a share, where these show one of `visible`.

    What lies beyond the floor is proportional to the spread, and that falls as the root of the number.
    """
    floor = math.log1p(floors.relative)
    return max(1.0, ((math.log1p(visible) - floor) / (math.log1p(wanted) - floor)) ** 2)


def _together(trials: Sequence[Estimate]) -> Estimate:
    """One set: the median of its trials, which one that is plainly wrong moves little. Of two it is the mean."""
    count, middle = len(trials), median(math.log(trial.ratio) for trial in trials)
    variance = sum(trial.standard_error**2 for trial in trials) / count**2 * (OF_A_MEDIAN if count > 2 else 1.0)
    reach = INTERVAL * math.sqrt(variance)
    ends = math.exp(middle - reach), math.exp(middle + reach)
    return Estimate(math.exp(middle), *ends, sum(trial.rounds for trial in trials), 0.95)
