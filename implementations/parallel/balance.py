"""Which rank encodes which image. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heapreplace

from ..config import VisionConfig
from ..floor import tower_work
from ..preprocessing import Grid

Shares = tuple[tuple[int, ...], ...]
"""For each rank the items that are its own, in the order of the input; none for a rank that has nothing to do."""


class RankError(RuntimeError):
    """Ranks did not come together: one is gone, hangs, or was given something else. The message is one sentence."""


def item_cost(config: VisionConfig, grid: Grid) -> int:
    """Multiplications and additions of one image or video alone.

    Products and windows grow with its patches, attention over whole frames with the square of those of a frame.
    """
    return sum(each.flops for each in tower_work(config, [grid]))


def shared_out(costs: Sequence[int], ranks: int) -> Shares:
    """The dearest item first, each to the rank with the least so far (longest processing time first, Graham 1969).

    The busiest rank then has at most 4/3 - 1/(3 ranks) times what the best way would give it. Equal costs go by their
    order, equal ranks by their number, so that all ranks find the same without a word between them.
    """
    shares: list[list[int]] = [[] for _ in range(ranks)]
    loads = [(0, rank) for rank in range(ranks)]
    heapify(loads)
    for item in sorted(range(len(costs)), key=lambda item: (-costs[item], item)):
        load, rank = loads[0]
        heapreplace(loads, (load + costs[item], rank))
        shares[rank].append(item)
    return tuple(tuple(sorted(share)) for share in shares)


def in_turn(items: int, ranks: int) -> Shares:
    """Each item to the next rank, whatever it costs."""
    return tuple(tuple(range(rank, items, ranks)) for rank in range(ranks))


@dataclass(frozen=True, slots=True)
class Exchange:
    """What the ranks of one forward pass between them."""

    collectives: int
    received: int
    """Bytes that each rank receives."""


def gathered(config: VisionConfig, grids: Sequence[Grid], shares: Shares, element: int = 2) -> Exchange:
    """Of images shared out: one gather, for which each rank fills its tokens up to those of the rank with the most.

    `element` is the size of a number in bytes.
    """
    tokens = [t * h * w // config.merge_unit for t, h, w in grids]
    most = max(sum(tokens[item] for item in share) for share in shares)
    return Exchange(1, (len(shares) - 1) * most * output_width(config) * element)


def output_width(config: VisionConfig) -> int:
    """Numbers that a tower hands out for one token, those of deepstack included."""
    return config.out_hidden_size * (1 + len(config.deepstack_blocks))
