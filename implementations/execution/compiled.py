"""`compile`: both halves of every block, and the mergers, through torch.compile, with the plan made before."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from types import MethodType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..optimized.execution import Eager, execution
from ..optimized.plan import VisionPlan
from ..optimized.seam import Exactness
from ..optimized.segments import Segments
from .outside import Numbered, Outside

if TYPE_CHECKING:
    from ..optimized.tower import OptimizedVisionTower

BACKEND: str | Callable[..., Any] = "inductor"
RECOMPILE_LIMIT = 64
"""Of torch, for a piece of code: towers of one process share it, and each flag set needs its own."""


@execution.optimization(
    "compile",
    removes="launches between products and attention, which compiling joins, for compiling at first sight",
    exactness=Exactness.REASSOCIATED,
    source="vLLM #23207 (about 5 % of throughput), #40116",
    excludes=("fp8-linear",),  # which rounds what Python calls
    only_named="compiling takes longer than all other flags together, and a CPU needs a C++ compiler for it",
    uncounted="what is compiled cannot be looked into",
)
class CompiledBlocks(Eager):
    """What lies inside a stage is compiled for any number of patches, whole or not at all; the blocks share it.

    Attention is one operator in it, so that neither boundaries nor their number are part of what is compiled.
    """

    def prepare(self, tower: OptimizedVisionTower) -> None:
        """See `Eager`."""
        config = torch._dynamo.config
        config.recompile_limit = max(config.recompile_limit, RECOMPILE_LIMIT)

        def compiled(method: Any) -> MethodType:
            """Still a method, so that in a copy of the tower it is one of the copy's module."""
            function = torch.compile(method.__func__, fullgraph=True, dynamic=True, backend=BACKEND)
            return MethodType(function, method.__self__)

        blocks: Iterable[Any] = tower.blocks
        for block in blocks:
            block.attn.attend = Outside(block.attn.attend)
            block.attention = compiled(block.attention)
            block.feed_forward = compiled(block.feed_forward)
        tower.merger.forward = compiled(tower.merger.forward)
        for merger in getattr(tower, "deepstack_merger_list", ()):
            merger.forward = compiled(merger.forward)

    def __call__(
        self, tower: OptimizedVisionTower, pixels: Tensor, grid_thw: Tensor, plan: VisionPlan | None
    ) -> tuple[Tensor, list[Tensor]]:
        """See `Eager`."""
        plan = plan or tower.planned(grid_thw, pixels.device)
        attention: Any = tower.blocks[0].attn

        def numbered(segments: Segments) -> Segments:
            return Numbered(segments, attention.attend.attend, attention.layout)

        windows = plan.windows and numbered(plan.windows)
        return tower.encode(pixels, replace(plan, frames=numbered(plan.frames), windows=windows))
