"""Few sets of flags that hold every pair of flags that one tower can have: a covering array, made greedily."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

from vlbench.implementations.config import VisionConfig
from vlbench.implementations.optimized import OPTIMIZATIONS, with_requirements
from vlbench.implementations.optimized.seam import excluded_by

Pair = tuple[str, str]


def pairs_of(config: VisionConfig, device: str, leave_out: Iterable[str] = ()) -> list[Pair]:
    """Every two flags that mean something there, but those left out; some cannot be together."""
    names = [name for name, flag in OPTIMIZATIONS.items() if flag.inapplicable(config, device) is None]
    return list(combinations([name for name in names if not with_requirements([name]).intersection(leave_out)], 2))


def covering(pairs: Iterable[Pair]) -> list[frozenset[str]]:
    """Sets of flags with all that these need, in one of which each of the pairs is that can be anywhere."""
    left = [(pair, with_requirements(pair)) for pair in pairs]
    left = [(pair, needed) for pair, needed in left if _fits({}, needed)]
    rows = []
    while left:
        row: dict[str, str] = {}
        for _, needed in left:
            if _fits(row, needed):
                row |= {OPTIMIZATIONS[flag].seam.name: flag for flag in needed}
        rows.append(frozenset(row.values()))
        left = [(pair, needed) for pair, needed in left if not needed <= rows[-1]]
    return rows


def _fits(row: dict[str, str], more: frozenset[str]) -> bool:
    """Is there room beside the flags of a row, by seam?"""
    ways = {OPTIMIZATIONS[flag].seam.name: flag for flag in more}
    if len(ways) < len(more) or any(row.get(seam, flag) != flag for seam, flag in ways.items()):
        return False
    together = more.union(row.values())
    return not any(together.intersection(excluded_by(OPTIMIZATIONS[flag])) for flag in more)
