"""Small towers that attend inside of frames, each with its own way to know where these end. `# HERE` marks a line."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vlbench.implementations.stage import stage
from vlbench.towers.tower import Tower

WIDTH = 16


class Attends(nn.Module):
    """Lengths are on the host, where they are a part of whatever is recorded; where none are given it makes them."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Linear(1176, WIDTH)

    def forward(self, pixels: Tensor, grid_thw: Tensor, *, lengths: list[int] | None = None) -> Tensor:
        lengths = lengths_of(grid_thw) if lengths is None else lengths
        x = self.proj(pixels.to(self.proj.weight.dtype)) * 4
        attended = [F.scaled_dot_product_attention(*(each[None],) * 3)[0] for each in x.split(lengths)]
        return torch.cat(attended).view(-1, 4, WIDTH).mean(1)


def lengths_of(grid_thw: Tensor) -> list[int]:
    """The patches of each frame."""
    return [h * w for t, h, w in grid_thw.tolist() for _ in range(t)]


class ReadsBack(Attends):
    def forward(self, pixels: Tensor, grid_thw: Tensor, **kwargs: Any) -> Tensor:
        areas = grid_thw[:, 1] * grid_thw[:, 2]
        frames = torch.repeat_interleave(areas, grid_thw[:, 0])  # HERE: two read-backs, for a size
        return super().forward(pixels, grid_thw, lengths=frames.tolist())  # HERE: what it reads


class OnDevice(nn.Module):
    """Items attend inside of themselves, by a mask that is made of the grids on the device; nothing waits."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Linear(1176, WIDTH)

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        x = self.proj(pixels) * 4
        ends = grid_thw.prod(-1).cumsum(0)
        item = (torch.arange(len(x), device=x.device)[:, None] >= ends).sum(-1)
        mask = item[:, None] == item
        return F.scaled_dot_product_attention(*(x[None],) * 3, attn_mask=mask[None])[0].view(-1, 4, WIDTH).mean(1)


class TakesNoOtherDtype(Attends):
    def forward(self, pixels: Tensor, grid_thw: Tensor, *, lengths: list[int] | None = None) -> Tensor:
        self.proj(pixels)
        return super().forward(pixels, grid_thw, lengths=lengths)


class Unlike(Attends):
    """Two ways to the same result: what differs is the record alone."""

    def forward(self, pixels: Tensor, grid_thw: Tensor, *, lengths: list[int] | None = None) -> Tensor:
        tokens = super().forward(pixels, grid_thw, lengths=lengths)
        return tokens + 1 if len(grid_thw) == 1 else 1 + tokens.view_as(tokens).add(0)


class KeepsGrids(OnDevice):
    """By their tokens alone it keeps the grids, on which its result hangs."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[int, Tensor] = {}

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        first = self.kept.setdefault(len(pixels), grid_thw)[0, 1]
        return (self.proj(pixels) * first).view(-1, 4, WIDTH).mean(1)


class OnHost(OnDevice):
    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        self.proj(pixels)
        return torch.zeros(len(pixels) // 4, WIDTH)


class Idle(OnDevice):
    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        with stage("idle"):
            lengths_of(torch.tensor([[1, 2, 2]]))
        return super().forward(pixels, grid_thw)


class Random(OnDevice):
    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        return super().forward(pixels, grid_thw) + torch.randn(1, device=pixels.device)


class ReadsLate(OnDevice):
    """From its third call on."""

    calls = 0

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        self.calls += 1
        if self.calls > 2:
            pixels.sum().item()  # LATE
        return super().forward(pixels, grid_thw)


class SetsGenerator(OnDevice):
    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        torch.cuda.set_rng_state(torch.cuda.get_rng_state())
        torch.manual_seed(1)
        return super().forward(pixels, grid_thw)


def _prepared(kind: type[nn.Module]) -> Tower:
    return Tower(
        lambda device, dtype: kind().to(device, dtype),
        arguments=lambda pixels, grid_thw: (pixels, grid_thw),
        prepare=lambda module, grid_thw: {"lengths": lengths_of(grid_thw)},
        stages={"proj": "proj"},
    )


handed_in, one_dtype, unlike = _prepared(Attends), _prepared(TakesNoOtherDtype), _prepared(Unlike)
