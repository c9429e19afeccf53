"""Towers for `vlbench ... --tower example:MODEL`. vlbench imports this file once such a tower is asked for."""

from torch import nn

import vlbench

WIDTHS = {"small": 32, "large": 64}


class ExampleTower(nn.Module):
    """Pixels [N, 1176] and grids [items, 3] to tokens [N / 4, width]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.patch_embed = nn.Linear(1176, width)
        self.blocks = nn.ModuleList(nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width)) for _ in range(2))
        self.merger = nn.Linear(4 * width, width)

    def forward(self, pixels, grid_thw):
        x = self.patch_embed(pixels)
        for block in self.blocks:
            x = x + block(x)
        return self.merger(x.view(-1, self.merger.in_features))


def tower(model: str) -> vlbench.Tower:
    """The tower of this name. A UsageError is shown as one sentence; `load` would take a checkpoint's tensors."""
    if model not in WIDTHS:
        raise vlbench.UsageError(f"there is no model {model!r}; choose one of {', '.join(WIDTHS)}")
    return vlbench.Tower(
        make=lambda device, dtype: ExampleTower(WIDTHS[model]).to(device, dtype),
        stages={"patch_embed": "patch_embed", "blocks.*": "block[{}].mlp", "merger": "merger"},
    )
