"""`graph-exact`: blocks and mergers are captured once for each layout of a batch, and replayed.

What comes before them (plan, patches, positions, window order) and after (the way back) stays outside: a handful of
operations. Graphs are kept like any cache of a tower: bounded by bytes, hits counted, forgotten by `.to()`. They
are also forgotten when weights are somewhere else, and threads take turns.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..optimized.cache import ByteCache
from ..optimized.execution import Eager, execution
from ..optimized.plan import VisionPlan
from ..optimized.seam import Exactness
from ..packing import MERGE_UNIT
from ..stage import stage
from .keys import core, key_of, swapped, tensors_of
from .runners import Function, Runner, runner_for

if TYPE_CHECKING:
    from ..optimized.tower import OptimizedVisionTower

MOST_BYTES = 2 << 30
"""Of all graphs of a tower: their inputs and outputs. What a CUDA graph itself holds comes on top."""
Encoded = tuple[Tensor, list[Tensor]]
"""Tokens, and the features of each level."""

PRUNING = ("evs",)
"""A graph has room for a number of tokens, which pruning chooses anew in each forward."""
ON_A_CPU = "it is for CUDA; on a CPU what it captures runs operation by operation, and copies come on top"
COUNTED = "a tower that is counted replays nothing: what replays save is not in its counts, what is copied and kept is"


@dataclass(frozen=True)
class Graph:
    """A captured function, its inputs and its outputs, which stay where they are."""

    inputs: Sequence[Tensor]
    fill: Callable[[Tensor, VisionPlan], None]
    """Writes hidden states and their plan into the inputs."""
    replay: Function
    outputs: Sequence[Tensor]

    def tensors(self) -> Sequence[Tensor]:
        """All memory that it keeps."""
        return [*self.inputs, *self.outputs]

    def __call__(self, x: Tensor, plan: VisionPlan) -> Encoded:
        """Tokens and features of x [N, C]: copies, as the next replay writes over the outputs."""
        with stage("replay"):
            self.fill(x, plan)
            tokens, *kept = (tensor[: len(x) // MERGE_UNIT].clone() for tensor in self.replay())
        return tokens, kept


class Graphs(ByteCache[Hashable, Graph]):
    """Those of one tower. A copy of the tower begins with none, as they read its weights and its memory; so does what
    was pickled."""

    def __init__(self, max_bytes: int = MOST_BYTES) -> None:
        super().__init__(max_bytes, Graph.tensors)
        self._lock = Lock()
        self._last: Any = None
        self._weights: list[dict[str, Any]] = []
        self._addresses: list[int] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.max_bytes,)

    @contextmanager
    def turn(self, tower: nn.Module, is_fixed: bool) -> Iterator[None]:
        """Filling, replaying and copying out are one; nothing in it is of weights that have moved.

        Streams of CUDA take turns as threads do.
        """
        with self._lock:
            stream = torch.cuda.current_stream() if is_fixed else None
            if stream and self._last:
                stream.wait_event(self._last)
            if moved := self._now(tower) != self._addresses:
                self.clear()
            try:
                yield
            finally:
                if stream:
                    self._last = stream.record_event()
                if moved:  # by now joined weights are, where a flag joins them
                    self._addresses = self._now(tower)

    def _now(self, tower: nn.Module) -> list[int]:
        """Where the weights are. Their modules are looked up once, as that takes longer than to call a replay."""
        self._weights = self._weights or [module._parameters for module in tower.modules() if module._parameters]
        return [each.data_ptr() for owned in self._weights for each in owned.values() if each is not None]


@execution.optimization(
    "graph-exact",
    removes="on CUDA all launches of blocks and mergers but one replay, for a copy of each input and output",
    exactness=Exactness.BIT_EXACT,
    source="SGLang #15320, #22873",
    requires=("host-seqlens",),
    excludes=PRUNING,
    only_named=ON_A_CPU,
    note=COUNTED,
)
class GraphExact(Eager):
    """A graph for each layout of a batch: its boundaries, dtypes and shapes. Captured on first sight; no padding."""

    def __init__(self) -> None:
        self.runner: Runner | None = None
        """What captures; by default what the device has."""
        self.graphs = Graphs()

    def __call__(
        self, tower: OptimizedVisionTower, pixels: Tensor, grid_thw: Tensor, plan: VisionPlan | None
    ) -> Encoded:
        """See `Eager`."""
        plan = plan or tower.planned(grid_thw, pixels.device)
        x, inner = tower.embed(pixels, plan), core(plan)
        with self.graphs.turn(tower, self.runner_on(x.device).is_fixed):
            encoded = self.graphs.get(key_of((x, inner)), partial(self._capture, tower, x, inner))(x, inner)
        return tower.restore(*encoded, plan)

    def _capture(self, tower: OptimizedVisionTower, x: Tensor, plan: VisionPlan) -> Graph:
        own_x, own_plan = swapped((x, plan), torch.clone)
        inputs = list(tensors_of((own_x, own_plan)))

        def fill(x: Tensor, plan: VisionPlan) -> None:
            for kept, new in zip(inputs, tensors_of((x, plan)), strict=True):
                kept.copy_(new)

        return self.captured(tower, own_x, own_plan, inputs, fill)

    def captured(
        self,
        tower: OptimizedVisionTower,
        x: Tensor,
        plan: VisionPlan,
        inputs: Sequence[Tensor],
        fill: Callable[[Tensor, VisionPlan], None],
    ) -> Graph:
        """Blocks and mergers on these very tensors, which `fill` writes."""

        def function() -> Sequence[Tensor]:
            tokens, kept = tower.transform(x, plan)
            return [tokens, *kept]

        replay = self.runner_on(x.device).capture(function)
        return Graph(inputs, fill, replay, replay())

    def runner_on(self, device: torch.device) -> Runner:
        """What captures there."""
        self.runner = self.runner or runner_for(device)
        return self.runner

    def caches(self) -> dict[str, ByteCache[Any, Any]]:
        """The graphs."""
        return {"graphs": self.graphs}
