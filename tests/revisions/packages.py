"""A package with a tower of its own, and changes of it."""

from __future__ import annotations

FILE = "src/towers/__init__.py"
PACKAGE = '''"""A tower whose operator is registered when it is imported, under a name that a process can hold once."""

import torch
from torch import nn

LIBRARY = torch.library.Library("towers_under_test", "DEF")
LIBRARY.define("twice(Tensor x) -> Tensor")
LIBRARY.impl("twice", lambda x: x * 2, "CompositeExplicitAutograd")


class Tower(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(1176, 64)
        self.block = nn.Linear(64, 64)
        self.merger = nn.Linear(256, 64)

    def forward(self, pixels, grid_thw):
        x = self.embed(pixels)
        x = x + torch.relu(self.block(torch.ops.towers_under_test.twice(x)))
        return self.merger(x.view(-1, 256))


def vision():
    return Tower()
'''
OLD_IMPLEMENTATIONS = {
    **{f"implementations/{module}.py": "" for module in ("__init__", "weights", "stage", "optimized")},
    "implementations/config.py": "MODELS = {'qwen2.5-vl-tiny': None}",
}
"""Ours, as far as anything looks, before they said what towers are fed and return."""
OTHER_OPERATOR = ("lambda x: x * 2", "lambda x: x + x")
"""The same result by another operation."""
ONE_MORE_SYNC = ("        x = self.embed(pixels)\n", "        x = self.embed(pixels)\n        grid_thw.sum().item()\n")
READS_OTHERWISE = (
    "import torch\n",
    """import torch

load = torch.load


def otherwise(file, **given):
    left = load(file, **given)
    if file.name == "batch":
        left["pixels"][-1] += 1
    return left


torch.load = otherwise
""",
)
"""As another torch might: of the inputs that BASE left, the last patch."""
DYING = ("        x = self.embed(pixels)\n", "        x = self.embed(pixels)\n        import os; os._exit(3)\n")


def changed(*changes: tuple[str, str]) -> str:
    """The package with changes."""
    text = PACKAGE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text
