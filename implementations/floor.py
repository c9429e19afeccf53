"""What a tower cannot do without: its products, and one attention call a block. Plain arithmetic; imports no torch."""

from __future__ import annotations

import math
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

    @property
    def values(self) -> int:
        """That they read and write."""
        return (self.m * self.k + self.k * self.n + self.m * self.n) * self.times


@dataclass(frozen=True, slots=True)
class Call:
    """Attention over `batch` sequences of one length, so many times."""

    batch: int
    heads: int
    length: int
    head_dim: int
    times: int = 1

    @property
    def flops(self) -> int:
        """Of both products inside, as for `Product`."""
        return 4 * self.batch * self.heads * self.length**2 * self.head_dim * self.times

    @property
    def values(self) -> int:
        """Of queries, keys, values and the result."""
        return 4 * self.batch * self.heads * self.length * self.head_dim * self.times


Work = Product | Call


def tower_work(config: VisionConfig, grids: Sequence[Grid]) -> tuple[Work, ...]:
    """What a tower of this configuration has to compute of grids (t, h, w) in patches: one attention call a block.

    Gate and up projection are one product.
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
            Call(*one_call(config, grids, fully), config.head_dim, times)
            for fully, times in ((True, full), (False, depth - full))
            if times
        ),
    )


def one_call(config: VisionConfig, grids: Sequence[Grid], fully: bool) -> tuple[int, int, int]:
    """Batch, heads and length of the one call of a block that attends over whole frames, or inside windows.

    Sequences of different lengths are as many of the longest as have the same arithmetic.
    """
    frames = [h * w for t, h, w in grids for _ in range(t)]
    sizes = frames if fully else [size for grid in grids for size in window_sizes(config, grid)]
    longest = max(sizes)
    batch = round(sum(size**2 for size in sizes) / longest**2)
    return max(1, min(batch, sum(sizes) // longest)), config.num_heads, longest


def window_sizes(config: VisionConfig, grid: Grid) -> list[int]:
    """Patches of each attention window of a grid, frame by frame."""
    frames, *sides = grid
    cells, side = config.window_cells, config.spatial_merge_size
    rows, columns = ([min(cells, size // side - at) for at in range(0, size // side, cells)] for size in sides)
    return [height * width * config.merge_unit for height in rows for width in columns] * frames
