"""Towers of sizes that the tables have, small enough to be counted in a moment."""

from __future__ import annotations

import sys

from torch import Tensor, nn


class Wide(nn.Module):
    """A projection and two elementwise operations."""

    passes = 2

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Linear(1176, 1280)

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        x = self.proj(pixels)
        for _ in range(self.passes):
            x = x + 1
        return x.view(-1, 4, 1280).mean(1)


class Longer(Wide):
    """Eight times as many."""

    passes = 16


class Waits(Wide):
    """And waits for a value."""

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        x = super().forward(pixels, grid_thw)
        return x[: int(grid_thw.prod(-1).sum()) // 4]


class Sorts(nn.Module):
    """All it does is of a kind that bytes say nothing of."""

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        return pixels.sort(0).values[::4]


class Breaks(Wide):
    """Raises."""

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        raise ValueError("no such shape")


class Exits(Wide):
    """Ends the process."""

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        sys.exit(0)
