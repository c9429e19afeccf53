"""The quick look: one process over all rows, and a second one over those that stand out.

A matrix has many rows, and one process has its luck. So an interval is for all rows of a group together (Bonferroni),
all of it must lie beyond a floor, and a second process must say the same before a row gets a word. The floor is 1 %, or
what identical programs, the reference tower's own instances, differ by in the same process where that is more.
"""

import math
from dataclasses import replace
from statistics import NormalDist

from vlbench.judging.verdict import Floors, Judgement, Verdict
from vlbench.judging.vote import OF_EACH_VOTE
from vlbench.judging.words import change, percent
from vlbench.stats.paired import Estimate

FAMILY = 0.05
"""Chance that any interval of a group misses, where nothing changed."""
POWER_QUANTILE = NormalDist().inv_cdf(OF_EACH_VOTE)
"""Standard errors beyond a limit at which two processes are both beyond it in four cases of five."""


def family_confidence(rows: int) -> float:
    """Of each interval, so that all of so many hold together in 95 % of cases (Bonferroni)."""
    return 1 - FAMILY / max(1, rows)


def floor_of(floors: Floors, widest: float | None) -> float:
    """The change, as a share, that a row must show: the floor, or what the `widest` of the instances is off by."""
    return max(floors.relative, max(widest, 1 / widest) - 1 if widest else 0.0)


def stands_out(estimate: Estimate, floor: float) -> int:
    """1 where all of the interval is slower by more than `floor`, -1 where it is faster, 0 for anything else."""
    if math.log(estimate.low) > math.log1p(floor):
        return 1
    return -1 if math.log(estimate.high) < -math.log1p(floor) else 0


def quick_look(first: Estimate, floor: float, second: Estimate | None, second_floor: float) -> Judgement:
    """What one process says of a row, and a second one where the row stood out. It is never a verdict.

    Both estimates are at the family's confidence. `slower` and `faster` of the judgement count processes that say so.
    """
    way = stands_out(first, floor)
    step = math.log(first.high / first.low) / 2
    luck = math.hypot(first.standard_error, step / math.sqrt(first.rounds))  # widths of intervals differ by luck, too
    seen = math.expm1(math.log1p(floor) + step + POWER_QUANTILE * luck)
    found = Judgement(Verdict.INCONCLUSIVE, "", first, min(seen, math.exp(300)), int(way > 0), int(way < 0))
    if not way:
        return replace(
            found, reason=f"not distinguishable in one process, whose own spread shows changes from {percent(seen)} on"
        )
    word = "slower" if way > 0 else "faster"
    if second is None:
        return replace(found, reason=f"{word} in one process ({change(first.ratio)}), not measured in a second one")
    both = f"{change(first.ratio)} and {change(second.ratio)}"
    if stands_out(second, second_floor) != way:
        return replace(found, reason=f"{word} in one process and not in a second one ({both}): not distinguishable")
    ends = min(first.low, second.low), max(first.high, second.high)
    joined = Estimate(math.sqrt(first.ratio * second.ratio), *ends, first.rounds + second.rounds, first.confidence)
    reason = f"{word} in two processes ({both}); 5 trials give a verdict"
    return replace(found, reason=reason, estimate=joined, slower=2 * int(way > 0), faster=2 * int(way < 0))
