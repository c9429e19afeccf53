"""A team's repository under the gate: a small tower of its own, a baseline, a test, and a branch to change it on."""

from __future__ import annotations

TOWER = '''"""A small vision tower with what large ones have: positions, frames that attend alone, and a cache."""

import torch
import torch.nn.functional as F
from torch import nn

import vlbench

WIDTH, LAYERS, MOST_GRIDS = 32, 3, 4


# TOP


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x, angles, lengths, grid_thw):
        q, k, v = (self.qkv(x) * (1 + angles.repeat(1, 3))).chunk(3, -1)
        parts = zip(q.split(lengths), k.split(lengths), v.split(lengths))
        attended = [F.scaled_dot_product_attention(*(each[None, None] for each in part))[0, 0] for part in parts]
        x = x + self.out(torch.cat(attended))
        # LAYER
        return x


class Vision(nn.Module):
    """Pixels [N, 1176] and grids [items, 3], which stay on the host, to tokens [N / 4, 32]."""

    def __init__(self):
        super().__init__()
        self.patch_embed, self.merger = nn.Linear(1176, WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.known = {}
        # MAKE

    def angles(self, grid, device, dtype):
        """[t * h * w, 32]: what a patch is turned by; a frame by its share of the clip."""
        t, h, w = grid
        key = t, h, w, device, dtype  # KEY
        if key not in self.known:
            frame, row, column = (torch.arange(each, device=device, dtype=dtype) for each in grid)
            at = frame[:, None, None] / t + row[None, :, None] / 7 + column / 13
            rates = 1 / (1 + torch.arange(WIDTH, device=device, dtype=dtype))
            self.known[key] = torch.sin(at.reshape(-1, 1) * rates)
        while len(self.known) > MOST_GRIDS:  # BOUND
            del self.known[next(iter(self.known))]
        return self.known[key]

    def forward(self, pixels, grid_thw):
        # FORWARD
        grids = [tuple(grid) for grid in grid_thw.tolist()]
        x = self.patch_embed(pixels)
        lengths = [h * w for t, h, w in grids for _ in range(t)]
        angles = torch.cat([self.angles(grid, x.device, x.dtype) for grid in grids])
        for layer in self.layers:
            x = layer(x, angles, lengths, grid_thw)
        tokens = self.merger(x.view(-1, 4 * WIDTH))
        # END
        return tokens


def tower():
    # FACTORY
    return vlbench.Tower(
        lambda device, dtype: Vision().to(device, dtype), arguments=lambda pixels, grid_thw: (pixels, grid_thw)
    )


def again():
    return tower()
'''
"""In it, marks stand for the places that traps edit."""

LIMITS = '''"""Limits that the tower is held to, beside its baseline."""

import pytest


@pytest.mark.vlbench(tower="tower:tower", grid=["1x4x4", "4x4x6"], max_syncs=0)
def test_the_tower_does_not_wait(vlbench_gate):
    """Its marker judges it."""


def test_something_else():
    """So that a session has a test that passes."""
'''
