"""Towers of one line, whose mistakes are known to the last digit, and a judge of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from vlbench.record.exactness import Accuracy
from vlbench.trial.accuracy import Grid, Input, Judge

Forward = Callable[[Tensor, Tensor], Tensor]
Outputs = Callable[[Tensor, Tensor], Any]


class Tower(nn.Module):
    def __init__(self, function: Outputs) -> None:
        super().__init__()
        self.function = function

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Any:
        return self.function(pixels, grid_thw)


def right(pixels: Tensor, grid_thw: Tensor) -> Tensor:
    """Pixels [N, 8] to the means of their merged cells [N / 4, 8], in fp32."""
    return pixels.float().view(-1, 4, 8).mean(1)


FIRST: tuple[Grid, ...] = ((2, 4, 6), (1, 2, 8))
SECOND: tuple[Grid, ...] = ((1, 8, 8),)


def drawn(grids: Iterable[Grid], seed: int) -> Input:
    rows = sum(t * h * w for t, h, w in grids)
    return Input(torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed)), torch.tensor(grids))


def fresh(function: Outputs = right, dtype: torch.dtype = torch.float32, own: Outputs = right) -> Judge:
    """A judge of its own, since some of these towers write into their inputs."""
    entries = [drawn(FIRST, 1).to(dtype), drawn(SECOND, 2).to(dtype)]
    return Judge(entries, dtype, Tower(function), Tower(own))


def check(function: Forward, exactness: str = "bit-exact") -> Accuracy:
    return fresh().check(exactness, lambda: Tower(function), never)


def scaled(factor: float) -> Forward:
    return lambda pixels, grid_thw: right(pixels, grid_thw) * factor


class InCall:
    """Right but for one call: the `wrong_call`-th of all."""

    def __init__(self, wrong_call: int, mistake: Callable[[Tensor], Tensor]) -> None:
        self.calls, self.wrong_call, self.mistake = 0, wrong_call, mistake

    def __call__(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        self.calls += 1
        output = right(pixels, grid_thw)
        return self.mistake(output) if self.calls == self.wrong_call else output


def never() -> nn.Module:
    raise AssertionError("in fp32 there is nothing else to build")
