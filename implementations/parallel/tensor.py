"""`tp`: every product of a tower split over the ranks, and what that makes them pass on. Imports no torch.

Counted from shapes, and not built: heads and MLPs are split by columns and then by rows, so that each half of a block
ends in one sum over all ranks, and so does a merger. Every rank embeds all patches.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from ..config import VisionConfig
from ..floor import tower_work
from ..preprocessing import Grid
from .balance import Exchange


def why_not_split(config: VisionConfig, ranks: int) -> str:
    """Why a tower cannot be split over so many ranks in equal parts; "" where it can."""
    merged = config.hidden_size * config.merge_unit
    sizes = {"heads": config.num_heads, "columns of its MLP": config.intermediate_size, "of its merger": merged}
    return next((f"{size:,} {what} make no {ranks} equal parts" for what, size in sizes.items() if size % ranks), "")


def split_cost(config: VisionConfig, grids: Sequence[Grid], ranks: int) -> Fraction:
    """Multiplications and additions of each rank: its part of all but the embedding of patches, which it does alone."""
    embedding, *others = (each.flops for each in tower_work(config, grids))
    return embedding + Fraction(sum(others), ranks)


def summed(config: VisionConfig, patches: int, ranks: int, element: int = 2) -> Exchange:
    """The sums over all ranks of one forward. A ring makes each rank receive 2 (ranks - 1) / ranks of every sum."""
    mergers = 1 + len(config.deepstack_blocks)
    numbers = 2 * config.depth * patches * config.hidden_size
    numbers += mergers * (patches // config.merge_unit) * config.out_hidden_size
    return Exchange(2 * config.depth + mergers, 2 * (ranks - 1) * numbers * element // ranks)
