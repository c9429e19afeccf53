"""The rule by which a set of flags is chosen: the smallest that stays within 1 % of the best.

It is fixed before anything is judged, and what it chooses is judged by other trials than those it chose by.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from vlbench.stats.paired import Estimate

WITHIN = 0.01
"""Share of the best set's time that the chosen one may take longer."""


@dataclass(frozen=True)
class Chosen:
    """A set, and what was left out of the whole to come to it."""

    flags: frozenset[str]
    left_out: tuple[str, ...]
    """In their order: the cheapest first."""
    spent: float
    """What they were worth together, as a share of the whole set's time."""


def smallest(
    flags: Collection[str],
    worth: Mapping[str, Estimate],
    needed_by: Mapping[str, Collection[str]],
    *,
    within: float = WITHIN,
    boldly: bool = False,
) -> Chosen:
    """Leave flags out, the one that is worth least first, as long as all that go are worth no more than `within`.

    `worth` has the set's time without a flag / with it; one that is not known stays. With a flag goes whatever needs
    it (`needed_by`), which its worth includes. Gains do not add up to more room: a flag that hurts costs nothing, and
    pays for no other. `boldly` takes each flag for worth what its interval says at least, else for its median.
    """
    prices = {flag: max(0.0, math.log(each.low if boldly else each.ratio)) for flag, each in worth.items()}
    kept, left_out, spent = set(flags), [], 0.0
    for flag in sorted(prices.keys() & kept, key=lambda each: (prices[each], worth[each].ratio, each)):
        if flag in kept and spent + prices[flag] <= math.log1p(within):
            gone = [flag, *sorted(kept.intersection(needed_by.get(flag, ())))]
            kept -= set(gone)
            left_out += gone
            spent += prices[flag]
    return Chosen(frozenset(kept), tuple(left_out), math.expm1(spent))


def is_within(ratio: Estimate, within: float = WITHIN) -> bool:
    """Does the whole interval of a set's time / that of the best say so?"""
    return ratio.high <= 1 + within
