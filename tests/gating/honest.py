"""A tower that does what it should, as text: tests write it, and then write ways to cheat over it."""

TOWER = """
import copy, gc, os
import torch
from torch import nn


def angles(rows, columns, frames):
    place = torch.arange(rows * columns * frames, dtype=torch.float32)
    return torch.cos(place / 7 + frames)[:, None]


class Tower(nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = nn.Linear(1176, 16)
        self.last = nn.Linear(64, 16)
        self.kept, self.calls = {}, 0

    def rope(self, t, h, w):
        return angles(h, w, t)

    def tokens(self, pixels, grid_thw):
        x = self.proj(pixels)
        grids = grid_thw.tolist()  # WAITS
        cos = torch.cat([self.rope(t, h, w) for t, h, w in grids]).to(x.device, x.dtype)
        return self.last((x * cos).view(-1, 64))

    def forward(self, pixels, grid_thw):
        self.calls += 1
        return self.tokens(pixels, grid_thw)
"""
"""Rope angles depend on the frames; `# WAITS` is its one wait."""
