"""The learned position embedding of Qwen3-VL: a square table, resampled bilinearly to each grid, corner to corner.

Patch i of n lies at i * (side - 1) / (n - 1) of the table; the four rows around it are weighted in fp32, and their sum
is cast once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import accumulate
from math import isqrt

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from ..config import VisionConfig
from .cache import ByteCache
from .grids import Grid, Grids
from .seam import Exactness, Seam

Positions = Callable[[Tensor, torch.dtype], Tensor]
"""From the learned table [side * side, C] to the position of every patch, [N, C] in this dtype."""
Key = tuple[int, int, torch.device]
"""Rows and columns, and where."""
Corners = tuple[Tensor, Tensor]
"""Of each patch the four rows of the table around it, and their weights in fp32, [N, 4, 1] each."""


def with_learned_positions(config: VisionConfig, device: str) -> str | None:
    """For flags about the learned position embedding."""
    return None if config.position_table else f"{config.name} has no learned position embedding"


position_embedding: Seam[type[ImageByImage]] = Seam("position embedding", default="pos-embed-cache")


@position_embedding.naive
class ImageByImage:
    """Each image by itself: four look-ups, and 63 launches."""

    def __init__(self, config: VisionConfig) -> None:
        self.side = isqrt(config.position_table)
        self.merge = config.spatial_merge_size

    def plan(self, grids: Grids, device: torch.device, send: Callable[[Tensor], Tensor]) -> Positions:
        """What follows from the grids alone; `send` takes a tensor to `device`."""
        return partial(self.resample, self.corners(grids, device))

    def corners(self, grids: Iterable[Grid], device: torch.device) -> list[tuple[int, list[tuple[Tensor, Tensor]]]]:
        """Of each item its frames, and which rows of the table lie around each patch, with their weights, [h, w]."""
        found = []
        for t, h, w in grids:
            rows, columns = self.taps(h, device), self.taps(w, device)
            four = [
                (row.unsqueeze(1) * self.side + column, near.unsqueeze(1) * near_too)
                for row, near in rows
                for column, near_too in columns
            ]
            found.append((t, four))
        return found

    def taps(self, size: int, device: torch.device) -> list[tuple[Tensor, Tensor]]:
        """The row of the table before each of `size` patches and the one after, [size], with their weights."""
        index = torch.arange(size, device=device).float()
        # Divided by a tensor: by a number, a GPU multiplies with its reciprocal, a last place off.
        place = index * (self.side - 1) / torch.full_like(index, max(size - 1, 1))
        before = place.floor()
        row = before.long()
        return list(zip((row, (row + 1).clamp(max=self.side - 1)), _weights(place, before), strict=True))

    def resample(
        self, corners: list[tuple[int, list[tuple[Tensor, Tensor]]]], table: Tensor, dtype: torch.dtype
    ) -> Tensor:
        """The positions of all items, one after the other."""
        positions = []
        for frames, four in corners:
            first, *others = (F.embedding(rows, table) * weights.unsqueeze(-1) for rows, weights in four)
            for other in others:
                first = first + other
            in_cells = rearrange(first, "(h i) (w j) c -> (h w i j) c", i=self.merge, j=self.merge)
            positions.append(in_cells.repeat(frames, 1))
        return torch.cat(positions).to(dtype)

    def caches(self) -> list[ByteCache[Key, Corners]]:
        """Where it remembers what grids come to."""
        return []


def _weights(place: Tensor, before: Tensor) -> list[Tensor]:
    """How near the row before a place, and the one after it, are: 1 at the row, 0 a whole row away."""
    return [(1 - (place - before - step).abs()).clamp(min=0) for step in (0, 1)]


@position_embedding.optimization(
    "pos-embed-vectorized",
    removes="63 launches for each further image, and 17 of the first; for one small upload: a wait, unless pinned",
    exactness=Exactness.BIT_EXACT,
    source="transformers; SGLang above 6 images",
    applies=(with_learned_positions,),
)
class AllAtOnce(ImageByImage):
    """Every patch works out its own row and column from its number."""

    def plan(self, grids: Grids, device: torch.device, send: Callable[[Tensor], Tensor]) -> Positions:
        """One small upload, four numbers an item, and one resampling."""
        items = described(grids)
        return partial(weighted, *around(send(items), patches_of(items), self.side, self.merge))


def described(grids: Iterable[Grid]) -> Tensor:
    """Of each item its rows and columns, its first patch, and how many it has, [items, 4]."""
    items = list(grids)
    counts = [t * h * w for t, h, w in items]
    starts = [0, *accumulate(counts)]
    return torch.tensor([[h, w, *of] for (_, h, w), *of in zip(items, starts, counts, strict=False)])


def patches_of(items: Tensor) -> int:
    """Of all items as they are `described`, on the host."""
    return int(items[:, 3].sum())


def weighted(rows: Tensor, weights: Tensor, table: Tensor, dtype: torch.dtype) -> Tensor:
    """The rows [N, 4] of a table [side * side, C] with their weights [N, 4, 1], summed in fp32, [N, C] in `dtype`."""
    return (F.embedding(rows, table) * weights).sum(1).to(dtype)


def around(items: Tensor, patches: int, side: int, merge: int) -> Corners:
    """The four rows of a table of side * side rows around each patch, [N, 4], and their weights, [N, 4, 1]."""
    h, w, start, _ = torch.repeat_interleave(items, items[:, 3], dim=0, output_size=patches).unbind(1)
    number = (torch.arange(patches, device=items.device) - start) % (h * w)  # in its frame
    cell, inside = number // merge**2, number % merge**2
    row = cell // (w // merge) * merge + inside // merge
    column = cell % (w // merge) * merge + inside % merge
    places, sizes = torch.stack((row, column)).float(), torch.stack((h, w))
    place = places * (side - 1) / (sizes - 1).clamp(min=1)  # [2, N]
    before = place.floor()
    first = before.long()
    rows, columns = torch.stack((first, (first + 1).clamp(max=side - 1)), dim=-1).unbind(0)  # [N, 2]
    near, near_too = torch.stack(_weights(place, before), dim=-1).unbind(0)
    indices = (rows.unsqueeze(2) * side + columns.unsqueeze(1)).flatten(1)
    return indices, (near.unsqueeze(2) * near_too.unsqueeze(1)).reshape(-1, 4, 1)


@position_embedding.optimization(
    "pos-embed-cache",
    removes="the working out of rows and weights for (rows, columns) seen before, which are kept; all look-ups but one",
    exactness=Exactness.BIT_EXACT,
    source="vlbench",
    applies=(with_learned_positions,),
)
class Remembered(ImageByImage):
    """What follows from rows and columns is kept. What follows from the table is not: it may be written any time."""

    def __init__(self, config: VisionConfig, max_bytes: int = 64 << 20) -> None:
        super().__init__(config)
        self.cache: ByteCache[Key, Corners] = ByteCache(max_bytes, lambda kept: kept)

    def plan(self, grids: Grids, device: torch.device, send: Callable[[Tensor], Tensor]) -> Positions:
        """Rows of the table and weights of all patches, of which only those of new sizes are made."""
        kept = [
            (frames, self.cache.get((h, w, device), partial(self._in_cells, (1, h, w), device)))
            for frames, h, w in grids
        ]
        rows, weights = (
            torch.cat([corners[part] if t == 1 else corners[part].repeat(t, 1, 1) for t, corners in kept])
            for part in (0, 1)
        )
        return partial(_looked_up, rows.squeeze(-1), weights)

    def _in_cells(self, item: Grid, device: torch.device) -> Corners:
        """Of each patch the four rows around it, and their weights, [h * w, 4, 1] each."""
        ((_, four),) = self.corners([item], device)
        ordered = (
            rearrange(torch.stack(part, dim=-1), "(h i) (w j) four -> (h w i j) four 1", i=self.merge, j=self.merge)
            for part in zip(*four, strict=True)
        )
        return next(ordered), next(ordered)

    def caches(self) -> list[ByteCache[Key, Corners]]:
        """The one."""
        return [self.cache]


def _looked_up(rows: Tensor, weights: Tensor, table: Tensor, dtype: torch.dtype) -> Tensor:
    """The positions of rows [N, 4] of the table with weights [N, 4, 1], summed in the reference tower's order."""
    first, second, third, fourth = (F.embedding(rows, table) * weights).unbind(1)
    return (first + second + third + fourth).to(dtype)
