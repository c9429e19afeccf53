"""A tower that marks its stages with a `stage` module of its own, heard by whoever listens to ours."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import Tensor, nn

from vlbench.implementations.output import VisionOutput
from vlbench.implementations.stage import Listener, Ranges, listening, stage

Listen = Callable[[Listener], AbstractContextManager[None]]
"""What adds a listener to the tower's own stages for as long as the context lasts."""


class StageForwardingTower(nn.Module):
    """Calls `tower`; listens to it with `listen` only while anyone listens to us, so that marks cost nothing else."""

    def __init__(self, tower: nn.Module, listen: Listen, output: type[Any] | None) -> None:
        """`output` is the tower's own VisionOutput, None where its revision had none."""
        super().__init__()
        self.tower = tower
        self.training = tower.training
        self.listen = listen
        self.output = output

    @property
    def caches(self) -> Callable[[], dict[str, Any]]:
        """The tower's own `caches`; of one that has none, there are none."""
        found: Callable[[], dict[str, Any]] = getattr(self.tower, "caches", dict)
        return found

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor | VisionOutput:
        """Pixels [N, patch_dim] and grids [items, 3] of (frames, rows, columns) to tokens [N / merge**2, width]."""
        with self.listen(Ranges(stage)) if listening() else nullcontext():
            returned: Any = self.tower(pixels, grid_thw)
        is_theirs = type(returned) is self.output
        output: Tensor | VisionOutput = VisionOutput(returned.tokens, returned.parts) if is_theirs else returned
        return output
