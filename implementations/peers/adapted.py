"""Another project's module behind the call of ours: `(pixels, grid_thw) -> tokens`, with its stages marked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from ..module_stages import marked, match_modules
from ..output import VisionOutput
from ..stage import listening, stage

Arguments = Callable[[Tensor, Tensor], tuple[Any, ...] | dict[str, Any]]
"""From pixels [N, patch_dim] on the device and grids [items, 3] on the host to the arguments of a call."""
Tokens = Callable[[Any], Tensor | VisionOutput]
"""From what a call returns to the tokens [N / merge**2, width], or these and further tensors."""


def pixels_and_grid(pixels: Tensor, grid_thw: Tensor) -> tuple[Tensor, Tensor]:
    """What a Qwen-VL tower takes: the pixels, and the grids on the same device."""
    return pixels, grid_thw.to(pixels.device)


class AdaptedTower(nn.Module):
    """Calls `module` with `arguments`, takes the `tokens` out of its result, and marks stages while anyone listens."""

    def __init__(
        self,
        module: nn.Module,
        arguments: Arguments | None = None,
        tokens: Tokens | None = None,
        stages: Mapping[str, str] | None = None,
    ) -> None:
        """`stages` maps patterns of module names to stages (see `match_modules`); None: it marks its own.

        Raises ValueError for a pattern that fits no module.
        """
        super().__init__()
        self.module = module
        self.training = module.training
        self.arguments = arguments or pixels_and_grid
        self.tokens = tokens
        self.stages = None if stages is None else match_modules(module, stages)

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor | VisionOutput:
        """Pixels [N, patch_dim] and grids [items, 3] of (frames, rows, columns) to tokens [N / merge**2, width]."""
        if self.stages is None or not listening():
            return self._call(pixels, grid_thw)
        with marked(self.module, self.stages), stage("forward"):
            return self._call(pixels, grid_thw)

    def _call(self, pixels: Tensor, grid_thw: Tensor) -> Tensor | VisionOutput:
        arguments = self.arguments(pixels, grid_thw)
        returned = self.module(**arguments) if isinstance(arguments, dict) else self.module(*arguments)
        return returned if self.tokens is None else self.tokens(returned)
