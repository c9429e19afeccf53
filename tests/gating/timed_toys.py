"""Towers to time, as the text of a module that a test may edit between two measurements."""

from __future__ import annotations

TOWERS = """
import os
import time

import torch
from torch import nn

import vlbench

EXTRA = 0.0
STAGES = {each: each for each in ("patch_embed", "attention", "mlp", "merger")}


class Waiting(nn.Module):
    def __init__(self, seconds):
        super().__init__()
        self.seconds, self.proj = seconds, nn.Linear(16, 16)

    def forward(self, x):
        time.sleep(self.seconds)
        return self.proj(x)


class Toy(nn.Module):
    def __init__(self, extra=0.0):
        super().__init__()
        self.patch_embed, self.merger = nn.Linear(1176, 16), nn.Linear(64, 16)
        self.attention, self.mlp = Waiting(0.012 + extra), Waiting(0.006)

    def forward(self, pixels, grid_thw):
        x = self.mlp(self.attention(self.patch_embed(pixels)))
        return self.merger(x.view(-1, 64))


class Wrong(Toy):
    def forward(self, pixels, grid_thw):
        return 1.5 * super().forward(pixels, grid_thw)


class Dies(Toy):
    def forward(self, pixels, grid_thw):
        os.abort()


def _tower(extra=0.0):
    return vlbench.Tower(lambda device, dtype: Toy(extra).to(device, dtype), stages=STAGES)


def base():
    return _tower()


def same():
    return _tower()


def edited():
    return _tower(EXTRA)
"""
"""`base`, `same` and `edited` are one program as long as EXTRA is 0. A forward waits for 18 ms, instead of computing,
so that a busy machine hardly shows in its time; 12 ms of them are in the attention stage. `Wrong` and `Dies` do."""

SLOWER = TOWERS.replace("EXTRA = 0.0", "EXTRA = 0.012")
"""A forward of `edited` takes two thirds longer, all of it in the attention stage: seen on the busiest machine, too."""
