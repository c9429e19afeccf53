"""Memory that does not move, with room for a budget of patches: a batch is laid in, and the rest is written over.

What is padding is attention segments of its own, so none of its rows is left unwritten and none is seen by a row of the
batch: whatever stands in it cannot leak, NaN included.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..config import VisionConfig
from ..optimized.plan import VisionPlan
from ..optimized.rope import Rope
from ..optimized.segments import Segments
from ..packing import MERGE_UNIT
from .keys import tensors_of

SHORT = 64
"""Patches of a segment of padding, as of a usual window: its attention costs next to nothing."""
PADDING = 0.0
"""What is written into rows of padding."""


Send = Callable[[Tensor, torch.device], Tensor]
"""A tensor from the host to a device."""


class InBuffer(Segments):
    """Segments whose bounds are where a graph reads them, [0, ..., budget, budget, ...], and on the host as a list."""

    def __init__(self, room: int, longest: int, like: Segments, budget: int, device: torch.device) -> None:
        """`room` is that for segments, `longest` the most patches that one of them may have."""
        self.order = torch.arange(budget // MERGE_UNIT, device=device)
        self.buffer = torch.full((room + 1,), budget, dtype=torch.int32, device=device)
        gather, scatter = (order if order is None else self.order.clone() for order in (like.gather, like.scatter))
        super().__init__([0, budget], gather, scatter, like.batches, self.buffer, longest)
        self.budget = budget

    def fill(self, segments: Segments, patches: int, send: Send) -> None:
        """Lay in the segments of a batch, and short ones for the rest. Raises ValueError where they are too many."""
        bounds = [*map(int, segments.bounds), *range(patches + SHORT, self.budget, SHORT)]
        self.bounds = bounds = list(dict.fromkeys([*bounds, self.budget]))
        self.__dict__.pop("runs", None)  # those of an earlier batch
        if len(bounds) > len(self.buffer):
            raise ValueError(f"{len(bounds) - 1} segments, and there is room for {len(self.buffer) - 1}")
        rest = [self.budget] * (len(self.buffer) - len(bounds))
        self.buffer.copy_(send(torch.tensor([*bounds, *rest], dtype=torch.int32), self.buffer.device))
        cells = patches // MERGE_UNIT
        for own, order in ((self.gather, segments.gather), (self.scatter, segments.scatter)):
            if own is not None and order is not None:
                own[:cells] = order
                own[cells:] = self.order[cells:]


class Buffers:
    """The inputs of a graph with room for `budget` patches, of the kinds that `x` and `plan` have."""

    def __init__(
        self, config: VisionConfig, x: Tensor, plan: VisionPlan, budget: int, frames: int, send: Send = Tensor.to
    ) -> None:
        """`frames` is the room for images and frames."""

        def empty(rows: Tensor) -> Tensor:
            return rows.new_full((budget, *rows.shape[1:]), PADDING)

        padding, cells = -(-budget // SHORT), budget // MERGE_UNIT
        self.send = send
        self.x = empty(x)
        self.rope: Rope = plan.rope.map(empty)
        self.frames = InBuffer(frames + padding, budget, plan.frames, budget, x.device)
        self.windows: InBuffer | None = None
        if plan.windows:
            side = config.window_cells
            # ceil(h / side) * ceil(w / side) windows of h x w cells are at most 1 + h * w / side.
            windows, longest = min(cells, frames + -(-cells // side)), max(SHORT, side * side * MERGE_UNIT)
            self.windows = InBuffer(windows + padding, longest, plan.windows, budget, x.device)
        self.plan = VisionPlan(self.rope, self.frames, self.windows, None, None)

    def fill(self, x: Tensor, plan: VisionPlan) -> None:
        """Lay in a batch, and write over whatever an earlier one left behind it."""
        patches = len(x)
        for own, rows in zip(tensors_of((self.x, self.rope)), tensors_of((x, plan.rope)), strict=True):
            own[:patches] = rows
            own[patches:] = PADDING
        self.frames.fill(plan.frames, patches, self.send)
        if self.windows and plan.windows:
            self.windows.fill(plan.windows, patches, self.send)

    def tensors(self) -> list[Tensor]:
        """All that it keeps."""
        kinds = (self.frames, self.windows)
        orders = (each for kind in kinds if kind for each in (kind.buffer, kind.gather, kind.scatter))
        return [*tensors_of((self.x, self.rope)), *(each for each in orders if each is not None)]
