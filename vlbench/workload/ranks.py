"""Calls of an encoder over more ranks than there are: who computes how much, and what is passed between them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from vlbench.implementations.config import VisionConfig
from vlbench.implementations.packing import Grid
from vlbench.implementations.parallel.balance import Exchange, Shares, gathered, in_turn, item_cost, shared_out
from vlbench.implementations.parallel.tensor import split_cost, summed, why_not_split

WAYS = ("dp", "dp by patches", "dp in turn", "tp")
"""Images by their cost, by their patches as in vLLM and SGLang, and one after the other; and a tower that is split."""


@dataclass
class Ranked:
    """All calls under one way of using the ranks. A call ends when its busiest rank does."""

    ranks: int
    calls: int = 0
    work: int = 0
    """Multiplications and additions of all calls on one rank."""
    busiest: Fraction = Fraction(0)
    """Those of the busiest rank of each call, added up."""
    empty: int = 0
    """Ranks without an image, over all calls."""
    collectives: int = 0
    received: int = 0
    """Bytes that each rank receives."""
    failed: str = ""
    """Why the ranks cannot be used so."""

    def add(self, work: int, busiest: Fraction, exchange: Exchange, empty: int = 0) -> None:
        """One call more."""
        self.calls += 1
        self.work, self.busiest, self.empty = self.work + work, self.busiest + busiest, self.empty + empty
        self.collectives += exchange.collectives
        self.received += exchange.received

    @property
    def speed_up(self) -> float | None:
        """All arithmetic over that of the busiest ranks; None where there is none."""
        return float(self.work / self.busiest) if self.busiest else None

    @property
    def balance(self) -> float | None:
        """Arithmetic of the busiest rank over an equal part of all; 1 is the best there is."""
        return self.ranks / self.speed_up if self.speed_up else None

    @property
    def idle_share(self) -> float | None:
        """Of the time of all ranks, that in which they wait for the busiest, or do again what another does as well."""
        return 1 - self.speed_up / self.ranks if self.speed_up else None

    @property
    def empty_share(self) -> float | None:
        """Of ranks that have no image of a call, over all calls."""
        return self.empty / (self.ranks * self.calls) if self.calls else None

    @property
    def collectives_per_call(self) -> float | None:
        """That all ranks take part in."""
        return self.collectives / self.calls if self.calls else None

    @property
    def received_per_call(self) -> float | None:
        """Bytes that each rank receives, in half precision."""
        return self.received / self.calls if self.calls else None


class OverRanks:
    """Adds up calls, each under every way."""

    def __init__(self, config: VisionConfig, ranks: int) -> None:
        self.config, self.ranks = config, ranks
        self.found: Mapping[str, Ranked] = {way: Ranked(ranks) for way in WAYS}
        self.found["tp"].failed = why_not_split(config, ranks)
        self._cost: Callable[[Grid], int] = lru_cache(maxsize=2**16)(lambda grid: item_cost(config, grid))

    def __call__(self, grids: Sequence[Grid]) -> None:
        """One call of the encoder."""
        costs, patches = [self._cost(grid) for grid in grids], [t * h * w for t, h, w in grids]
        work = sum(costs)
        for way, shares in self._shares(costs, patches):
            loads = [sum(costs[item] for item in share) for share in shares]
            exchange = gathered(self.config, grids, shares)
            self.found[way].add(work, Fraction(max(loads)), exchange, sum(not share for share in shares))
        if not self.found["tp"].failed:
            split, exchange = split_cost(self.config, grids, self.ranks), summed(self.config, sum(patches), self.ranks)
            self.found["tp"].add(work, split, exchange)

    def _shares(self, costs: Sequence[int], patches: Sequence[int]) -> Iterator[tuple[str, Shares]]:
        yield "dp", shared_out(costs, self.ranks)
        yield "dp by patches", shared_out(patches, self.ranks)
        yield "dp in turn", in_turn(len(costs), self.ranks)
