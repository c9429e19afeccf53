"""Rotary position embedding over rows and columns: the rows of angles or cos and sin, and who remembers them.

A patch at (row, column) turns pair j of its head by row * inv_freq[j] for the first half of the pairs and by
column * inv_freq[j] for the second (Qwen2-VL, arXiv 2409.12191, 2.1). Element d pairs with d + head_dim / 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from ..config import VisionConfig
from .advice import TRIGONOMETRY, InCapture
from .cache import ByteCache
from .grids import Grid, Grids
from .position_ids import HOST_IDS, IdsEachTime
from .seam import Exactness, Seam
from .transfer import Pageable
from .windows import WindowOrder, permute_cells

THETA = 10000.0
LONGEST_SIDE = 8192
"""Rows of the cos and sin tables. The most extreme image that preprocessing allows is about 3,600 patches long."""


@dataclass(frozen=True, slots=True)
class CosSin:
    """cos and sin of every rotated pair, fp32, [N, head_dim / 2] each."""

    cos: Tensor
    sin: Tensor

    def cos_sin(self) -> CosSin:
        """Itself."""
        return self

    def map(self, function: Callable[[Tensor], Tensor]) -> CosSin:
        """The same after `function`, which moves rows."""
        return CosSin(function(self.cos), function(self.sin))


@dataclass(frozen=True, slots=True)
class Angles:
    """The angle of every rotated pair, fp32, [N, head_dim / 2]. Whoever rotates computes cos and sin."""

    rows: Tensor

    def cos_sin(self) -> CosSin:
        """Their cos and sin."""
        return CosSin(self.rows.cos(), self.rows.sin())

    def map(self, function: Callable[[Tensor], Tensor]) -> Angles:
        """The same after `function`, which moves rows."""
        return Angles(function(self.rows))


Rope = Angles | CosSin


# The rows for given ids: computed from angles, or looked up.


class RopeRows(nn.Module):
    """Buffers that keep fp32 through `.to(dtype)`: in bf16, angles of 128 positions are wrong by 0.18 in their cos."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        half = config.head_dim // 2
        exponent = torch.arange(0, half, 2, dtype=torch.float32, device="cpu") / half
        self.register_buffer("inv_freq", 1.0 / THETA**exponent, persistent=False)
        self.inv_freq: Tensor

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> RopeRows:
        before = dict(self.named_buffers())
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in before.items():
            setattr(self, name, buffer.to(getattr(self, name).device))
        return self

    def forward(self, ids: Tensor, longest_side: Callable[[], int]) -> Rope:
        """The rows for `ids` [N, 2], each below `longest_side`."""
        raise NotImplementedError

    def caches(self) -> list[ByteCache[int, Tensor]]:
        """Where it remembers a table."""
        return []


rope_rows: Seam[type[RopeRows]] = Seam("rope table")


@rope_rows.naive
class AngleTableEachTime(RopeRows):
    """A table of angles as long as the longest side, for every forward."""

    def forward(self, ids: Tensor, longest_side: Callable[[], int]) -> Rope:
        """Angles, from a table that is made now."""
        return Angles(self.table(longest_side())[ids].flatten(1))

    def table(self, length: int) -> Tensor:
        """The angles of positions below `length`, [length, head_dim / 4]."""
        positions = torch.arange(length, device=self.inv_freq.device).float()
        return torch.outer(positions, self.inv_freq)


@rope_rows.optimization(
    "rope-freq-table",
    removes="the making of the angle table in every forward: three launches",
    exactness=Exactness.BIT_EXACT,
    source="vLLM of March 2025, which only grows it; TensorRT-LLM's _freq_table",
)
class AngleTableKept(AngleTableEachTime):
    """A table for each power of two, made when a side first needs it: 0.3 MB for 4,096 positions of head_dim 80."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__(config)
        self.cache: ByteCache[int, Tensor] = ByteCache(4 << 20, lambda table: (table,))

    def forward(self, ids: Tensor, longest_side: Callable[[], int]) -> Rope:
        """Angles, from a table that is long enough."""
        length = 1 << (longest_side() - 1).bit_length()
        table = self.cache.get(length, partial(self.table, length))
        return Angles(table[ids].flatten(1))

    def caches(self) -> list[ByteCache[int, Tensor]]:
        """The one."""
        return [self.cache]


@rope_rows.optimization(
    "rope-table",
    removes="the building of the angle table and all trigonometry in the forward, for a second look-up by the same ids",
    exactness=Exactness.ULP,
    source="vLLM #28798; TensorRT-LLM #11943; SGLang #15205",
)
class CosSinTable(RopeRows):
    """cos and sin of every position, made once: 0.7 MB each for head_dim 80."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__(config)
        angles = torch.outer(torch.arange(LONGEST_SIDE, device="cpu").float(), self.inv_freq)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        self.cos: Tensor
        self.sin: Tensor

    def forward(self, ids: Tensor, longest_side: Callable[[], int]) -> Rope:
        """cos and sin, from the tables."""
        return CosSin(self.cos[ids].flatten(1), self.sin[ids].flatten(1))


# Where cos and sin are computed.

rope_sharing: Seam[Callable[[Rope], Rope]] = Seam("rope sharing")


@rope_sharing.naive
def in_every_layer(rope: Rope) -> Rope:
    """Angles go to the layers as they are; each layer computes cos and sin for q and again for k."""
    return rope


@rope_sharing.optimization(
    "rope-shared",
    removes="four trigonometric kernels in every layer: cos and sin are computed once per forward",
    exactness=Exactness.BIT_EXACT,
    source="transformers' position_embeddings; an agent's patch to vLLM's Qwen2-VL, 2025",
    advice=(
        InCapture("cos and sin kernels", "cos and sin are computed again in the layers", least=8, kernel=TRIGONOMETRY),
    ),
)
def once_per_forward(rope: Rope) -> Rope:
    """cos and sin go to the layers."""
    return rope.cos_sin()


# Whether a grid's rows are remembered.


rope_reuse: Seam[type[RopeEachTime]] = Seam("rope reuse")


@rope_reuse.naive
@dataclass
class RopeEachTime:
    """The rope of a batch, in the order of its hidden states, by what the other seams chose."""

    rows: RopeRows
    ids: IdsEachTime
    share: Callable[[Rope], Rope]
    merge: int
    upload: Pageable

    def __call__(self, grids: Grids, windows: WindowOrder | None, index: Tensor | None) -> Rope:
        """`index` is the window order on the device, None where the model has no windows."""
        rope = self.rows(self.sent_ids(grids), grids.longest_side)
        return self.share(rope if index is None else rope.map(lambda rows: permute_cells(rows, index)))

    def sent_ids(self, grids: Iterable[Grid]) -> Tensor:
        """The ids where the upload wants them before the look-up: on the device, or still on the host."""
        device = self.rows.inv_freq.device
        return self.upload.indices(self.ids(grids, device), device)

    def caches(self) -> list[ByteCache[Grid, CosSin]]:
        """Where it remembers rows."""
        return []


@rope_reuse.optimization(
    "rope-cache",
    removes="trigonometry, index uploads and permutation for every grid seen before (cos and sin are shared, too)",
    exactness=Exactness.BIT_EXACT,
    source="vLLM get_rope_by_thw (#17973, LRU of 1024); TensorRT-LLM #11943",
    advice=(
        HOST_IDS,
        InCapture("cos and sin kernels", "the angles of a grid do not change", most=7, kernel=TRIGONOMETRY),
    ),
)
@dataclass
class CachedRope(RopeEachTime):
    """cos and sin by (t, h, w), in the item's window order, on the device: 320 bytes a patch for head_dim 80."""

    max_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        self.cache: ByteCache[Grid, CosSin] = ByteCache(self.max_bytes, lambda entry: (entry.cos, entry.sin))

    def __call__(self, grids: Grids, windows: WindowOrder | None, index: Tensor | None) -> Rope:
        items = list(grids)
        orders = windows.orders if windows else [None] * len(items)
        entries = [
            self.cache.get(grid, partial(self._make, grid, order)) for grid, order in zip(items, orders, strict=True)
        ]
        if len(entries) == 1:
            return entries[0]
        if windows is None:
            return CosSin(torch.cat([entry.cos for entry in entries]), torch.cat([entry.sin for entry in entries]))
        unit = self.merge**2
        pieces = [(entries[item], start * unit, stop * unit) for item, start, stop in windows.pieces]
        return CosSin(
            torch.cat([entry.cos[start:stop] for entry, start, stop in pieces]),
            torch.cat([entry.sin[start:stop] for entry, start, stop in pieces]),
        )

    def _make(self, grid: Grid, order: Tensor | None) -> CosSin:
        entry: CosSin = self.rows(self.sent_ids([grid]), lambda: max(grid[1:])).cos_sin()
        if order is None:
            return entry
        index = self.upload(order, entry.cos.device)
        return entry.map(lambda rows: permute_cells(rows, index))

    def caches(self) -> list[ByteCache[Grid, CosSin]]:
        return [self.cache]
