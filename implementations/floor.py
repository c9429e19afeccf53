"""What a tower cannot do without: its products and its attention. Plain arithmetic; imports no torch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .config import VisionConfig
from .preprocessing import Grid

NAME = "floor"
"""Of the variant that does this and nothing else."""


@dataclass(frozen=True, slots=True)
class Product:
    """[m, k] x [k, n], so many times."""

    m: int
    n: int
    k: int
    times: int = 1

    @property
    def flops(self) -> int:
        """Of all of them; a multiplication and an addition are two."""
        return 2 * self.m * self.n * self.k * self.times


@dataclass(frozen=True, slots=True)
class Call:
    """Attention over `batch` sequences of one length, so many times."""

    batch: int
    heads: int
    length: int
    head_dim: int
    times: int = 1
    joined: bool = False
    """It goes along in the kernel of the call before, as sequences of several lengths can in one call."""

    @property
    def flops(self) -> int:
        """Of both products inside, as for `Product`."""
        return 4 * self.batch * self.heads * self.length**2 * self.head_dim * self.times


Work = Product | Call


def tower_work(config: VisionConfig, grids: Sequence[Grid]) -> tuple[Work, ...]:
    """What a tower of this configuration has to compute of grids (t, h, w) in patches.

    Gate and up projection are one product; a block has one attention call, written as one for each length of its
    sequences, the most arithmetic first: all but the first are joined to it.
    """
    patches, width, inner = sum(math.prod(grid) for grid in grids), config.hidden_size, config.intermediate_size
    merged, rows = width * config.merge_unit, patches // config.merge_unit
    depth, mergers = config.depth, 1 + len(config.deepstack_blocks)
    full = sum(map(config.attends_fully, range(depth)))
    return (
        Product(patches, width, config.patch_dim),
        Product(patches, 3 * width, width, depth),
        Product(patches, width, width, depth),
        Product(patches, inner * (2 if config.mlp == "gated" else 1), width, depth),
        Product(patches, width, inner, depth),
        Product(rows, merged, merged, mergers),
        Product(rows, config.out_hidden_size, merged, mergers),
        *(
            Call(batch, config.num_heads, length, config.head_dim, times, joined=place > 0)
            for fully, times in ((True, full), (False, depth - full))
            if times
            for place, (length, batch) in enumerate(_by_arithmetic(lengths_of(config, grids, fully)))
        ),
    )


def _by_arithmetic(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Each length and how often it is there, the most arithmetic first."""
    return sorted(Counter(lengths).items(), key=lambda each: (-each[1] * each[0] ** 2, each[0]))


def lengths_of(config: VisionConfig, grids: Sequence[Grid], fully: bool) -> list[int]:
    """Patches of each sequence of a block that attends over whole frames, or inside windows."""
    if fully:
        return [h * w for t, h, w in grids for _ in range(t)]
    return [size for grid in grids for size in window_sizes(config, grid)]


def one_call(config: VisionConfig, grids: Sequence[Grid], fully: bool) -> tuple[int, int, int]:
    """Batch, heads and length of a single call that stands for all of a block, where one is timed.

    Sequences of different lengths are as many of the longest as come nearest to the same arithmetic: rounded, and never
    less than one nor more than there are patches for.
    """
    sizes = lengths_of(config, grids, fully)
    longest = max(sizes)
    batch = round(sum(size**2 for size in sizes) / longest**2)
    return max(1, min(batch, sum(sizes) // longest)), config.num_heads, longest


def window_sizes(config: VisionConfig, grid: Grid) -> list[int]:
    """Patches of each attention window of a grid, frame by frame."""
    frames, *sides = grid
    cells, side = config.window_cells, config.spatial_merge_size
    rows, columns = ([min(cells, size // side - at) for at in range(0, size // side, cells)] for size in sides)
    return [height * width * config.merge_unit for height in rows for width in columns] * frames
