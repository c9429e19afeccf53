"""`graph-budget`: a few graphs of fixed size serve every batch; what a batch leaves free in one is padding."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..optimized.attention import SegmentList
from ..optimized.execution import execution
from ..optimized.plan import VisionPlan
from ..optimized.seam import Exactness, FlagError
from ..optimized.segments import Segments
from ..optimized.varlen import HALF, OneCall
from ..packing import MERGE_UNIT, Budgets, Grid, Pack, pack
from .buffers import Buffers, InBuffer
from .graphs import COUNTED, ON_A_CPU, PRUNING, Encoded, Graph, GraphExact
from .keys import core, key_of, swapped

if TYPE_CHECKING:
    from ..optimized.layout import Layout
    from ..optimized.tower import OptimizedVisionTower

Span = tuple[int, int]
"""Patches of the batch, from one to before another."""


@execution.optimization(
    "graph-budget",
    removes="on CUDA all launches of blocks and mergers but one replay, for padding and boundaries sent: a wait, "
    "unless pinned; a few graphs serve every batch",
    exactness=Exactness.REASSOCIATED,
    source="vLLM #35963, #40830",
    requires=("host-seqlens",),
    excludes=PRUNING,
    only_named=ON_A_CPU,
    note=f"{COUNTED}; fewer operations are those of attention, one varlen call a layer",
)
class GraphBudget(GraphExact):
    """Images and frames are packed into graphs of a few sizes, whose attention reads its boundaries in the graph.

    A frame that no graph has room for runs without one, with a warning and a count.
    """

    def __init__(self) -> None:
        super().__init__()
        self.budgets = Budgets()
        self.patches = self.padding = self.without = 0
        """Patches that graphs computed, those beside them that were padding, and forwards without a graph."""

    def prepare(self, tower: OptimizedVisionTower) -> None:
        """See `Eager`."""
        blocks: Iterable[Any] = tower.blocks
        for block in blocks:
            block.attn.attend = InGraph(block.attn.attend)

    def __call__(
        self, tower: OptimizedVisionTower, pixels: Tensor, grid_thw: Tensor, plan: VisionPlan | None
    ) -> Encoded:
        """See `Eager`. A plan is of the whole batch; where that would take several forwards it runs without a graph."""
        grids = [(t, h, w) for t, h, w in grid_thw.tolist()]
        packs = pack(grids, self.budgets)
        if len(packs) == 1 or plan is not None:
            plan = plan or tower.planned(grid_thw, pixels.device)
            return self._run(tower, pixels, plan, packs[0].budget if len(packs) == 1 else None)
        out: list[Tensor] = []
        for each in packs:
            spans, some = parted(each, grids)
            rows = torch.cat([pixels[start:stop] for start, stop in spans])
            sub_grids = torch.tensor(some, dtype=grid_thw.dtype).to(grid_thw.device)
            tokens, kept = self._run(tower, rows, tower.planned(sub_grids, pixels.device), each.budget)
            whole = len(pixels) // MERGE_UNIT
            out = out or [part.new_empty((whole, part.shape[1])) for part in (tokens, *kept)]
            for all_rows, part in zip(out, (tokens, *kept), strict=True):
                put_back(all_rows, part, spans)
        return out[0], out[1:]

    def _run(self, tower: OptimizedVisionTower, pixels: Tensor, plan: VisionPlan, budget: int | None) -> Encoded:
        if budget is None:
            self.without += 1
            warnings.warn(f"graph-budget: {len(pixels):,} patches run without a graph", stacklevel=2)
            return tower.encode(pixels, plan)
        x, inner = tower.embed(pixels, plan), core(plan)
        key, capture = budget_key(x, inner, budget), partial(self._lay, tower, x, inner, budget)
        with self.graphs.turn(tower, self.runner_on(x.device).is_fixed):
            encoded = self.graphs.get(key, capture)(x, inner)
            self.patches, self.padding = self.patches + len(pixels), self.padding + budget - len(pixels)
        return tower.restore(*encoded, plan)

    def _lay(self, tower: OptimizedVisionTower, x: Tensor, plan: VisionPlan, budget: int) -> Graph:
        if self.runner_on(x.device).is_fixed and x.dtype not in HALF:
            raise FlagError(f"graph-budget needs half precision on CUDA, and this is {x.dtype}; leave it out")
        buffers = Buffers(tower.config, x, plan, budget, self.budgets.frames(budget), tower.planner.upload)
        buffers.fill(x, plan)
        return self.captured(tower, buffers.x, buffers.plan, buffers.tensors(), buffers.fill)


def budget_key(x: Tensor, plan: VisionPlan, budget: int) -> tuple[object, ...]:
    """What a graph of this size depends on: kinds and dtypes. Boundaries and rows are written into its memory."""

    def no_bounds(segments: Segments | None) -> Segments | None:
        return segments and Segments([], segments.gather, segments.scatter, segments.batches)

    kinds = (x, plan.rope, no_bounds(plan.frames), no_bounds(plan.windows))
    return budget, key_of(swapped(kinds, lambda tensor: tensor[:0]))


def parted(pack: Pack, grids: Sequence[Grid]) -> tuple[list[Span], list[Grid]]:
    """Where the patches of a pack stand in the batch, piece by piece, and the grids of the pieces."""
    starts = [0, *accumulate(t * h * w for t, h, w in grids)]
    spans, found = [], []
    for piece in pack.pieces:
        _, h, w = grids[piece.item]
        start = starts[piece.item]
        spans.append((start + piece.start * h * w, start + piece.stop * h * w))
        found.append((piece.stop - piece.start, h, w))
    return spans, found


def put_back(whole: Tensor, part: Tensor, spans: Sequence[Span]) -> None:
    """Write the tokens of a pack where those of the batch stand."""
    done = 0
    for start, stop in spans:
        tokens = (stop - start) // MERGE_UNIT
        whole[start // MERGE_UNIT : stop // MERGE_UNIT] = part[done : done + tokens]
        done += tokens


class InGraph(SegmentList):
    """The tower's own attention; on CUDA in half precision one that reads the boundaries of a graph on the device."""

    def __init__(self, attend: SegmentList) -> None:
        self.attend = attend

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, segments: Segments, layout: Layout) -> Tensor:
        """See `SegmentList`."""
        if not isinstance(segments, InBuffer) or not q.is_cuda or q.dtype not in HALF:
            return self.attend(q, k, v, segments, layout)
        return OneCall()(q, k, v, segments, layout)
