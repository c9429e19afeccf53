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
    together: Mapping[tuple[str, str], Estimate] | None = None,
    *,
    within: float = WITHIN,
    boldly: bool = False,
) -> Chosen:
    """Leave flags out, what is worth least first, as long as all that go are worth no more than `within`.

    `worth` has the set's time without a flag / with it; one that is not known stays. `together` has the same of two
    that interact: they may go as one, and where one has gone, the other costs what both cost beyond it. With a flag
    goes whatever needs it (`needed_by`), which its worth includes. Gains do not add up to more room: what hurts costs
    nothing, and pays for no other. `boldly` takes each for worth what its interval says at least, else for its median.
    """

    def price(each: Estimate) -> float:
        return math.log(each.low if boldly else each.ratio)

    alone = {flag: price(each) for flag, each in worth.items() if flag in flags}
    both = {frozenset(pair): price(each) for pair, each in (together or {}).items() if alone.keys() >= {*pair}}

    def total(asked: frozenset[str], gone: Collection[str]) -> float:
        """What leaving out those that were `asked` for is worth, and pairs of all that have `gone` with them."""
        interactions = (cost - sum(alone[flag] for flag in pair) for pair, cost in both.items() if pair <= {*gone})
        return sum(alone[flag] for flag in asked) + sum(interactions)

    steps = {**{frozenset({flag}): cost for flag, cost in alone.items()}, **both}
    kept, asked, left_out, spent = set(flags), frozenset[str](), list[str](), 0.0
    for step in sorted(steps, key=lambda each: (max(0.0, steps[each]), steps[each], sorted(each))):
        going = step & kept
        taken = {flag for flag in kept - going if any(flag in needed_by.get(each, ()) for each in going)}
        more = asked | going
        cost = max(0.0, total(more, {*left_out, *going, *taken}) - total(asked, left_out))
        if going and spent + cost <= math.log1p(within):
            left_out += [*sorted(going), *sorted(taken)]
            kept -= {*going, *taken}
            asked, spent = more, spent + cost
    return Chosen(frozenset(kept), tuple(left_out), math.expm1(spent))


def is_within(ratio: Estimate, within: float = WITHIN) -> bool:
    """Does the whole interval of a set's time / that of the best say so?"""
    return ratio.high <= 1 + within
