"""The window order of Qwen2.5-VL: which merged cells share an attention window, and the way back.

Everything works on merged 2x2 cells, on the host. A window is 4x4 cells; frames of a video are windowed apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from .advice import LENGTHS, InCapture, InCode
from .cache import ByteCache
from .grids import Grid, Grids
from .seam import Exactness, Seam, with_windows

Piece = tuple[int, int, int]
"""Item, start, stop: a slice of that item's cells, in the item's own window order."""


@dataclass(frozen=True, slots=True)
class ItemWindows:
    """The windows of one image or video."""

    order: Tensor
    """[cells] the item's merged cells, window by window."""
    sizes: Tensor
    """[windows] cells in each; 0 for an empty window."""


@dataclass(frozen=True, slots=True)
class WindowOrder:
    """The windows of a batch."""

    index: Tensor
    """[N / 4] the batch's merged cells, window by window."""
    bounds: Tensor
    """Bounds of the windows in patches, int32, [0, ..., N]."""
    orders: list[Tensor]
    """The items' own window orders."""
    pieces: list[Piece]
    """The batch's order in terms of them."""


def permute_cells(x: Tensor, order: Tensor) -> Tensor:
    """Rows of x [N, width] moved in groups of four, as whole merged cells."""
    return x.view(order.shape[0], x.shape[0] // order.shape[0], -1)[order].view(x.shape)


def group_by_size(order: WindowOrder, merge_unit: int) -> tuple[Tensor, Tensor] | None:
    """Cells in the order that brings windows of one size together, and the windows' bounds in that order.

    None where they stand together already.
    """
    sizes = order.bounds.diff() // merge_unit
    sizes = sizes[sizes > 0]
    by_size = sizes.sort(descending=True, stable=True).values
    if torch.equal(sizes, by_size):
        return None
    cells = torch.argsort(torch.repeat_interleave(sizes, sizes), descending=True, stable=True)
    return cells, F.pad(by_size.cumsum(0, dtype=torch.int32) * merge_unit, (1, 0))


# How one item is cut into windows.


window_cut: Seam[type[WithEmptyWindows]] = Seam("window cut")


@window_cut.naive
class WithEmptyWindows:
    """The pad is a whole window where a size is a multiple of the side already: a row or column of empty windows."""

    def cut(self, t: int, h: int, w: int, side: int) -> ItemWindows:
        """Windows of `side` x `side` in t frames of h x w merged cells."""
        return _cut_padded(t, h, w, side, side - h % side, side - w % side)

    def tidy(self, bounds: Tensor) -> Tensor:
        """The bounds without empty windows."""
        return torch.unique_consecutive(bounds)


@window_cut.optimization(
    "no-empty-windows",
    removes="empty windows and the `unique_consecutive` (a host sync on CUDA) that drops them again",
    exactness=Exactness.BIT_EXACT,
    source="transformers #37535",
    applies=(with_windows,),
    advice=(
        InCode(
            "drop empty windows where they are made, on the host",
            "read-back",
            frozenset({"aten::unique_consecutive", "aten::_unique2", "aten::unique_dim_consecutive"}),
            rf"consecutive|window|{LENGTHS}",
        ),
        InCapture(
            "unique_consecutive kernels",
            "a data-dependent operation that synchronizes; without empty windows it is not needed",
            kernel=r"unique|adjacent_difference|DeviceSelectSweep|run_length",
        ),
    ),
)
class WithoutEmptyWindows(WithEmptyWindows):
    """No pad where a size is a multiple of the side already."""

    def cut(self, t: int, h: int, w: int, side: int) -> ItemWindows:
        return _cut_padded(t, h, w, side, -h % side, -w % side)

    def tidy(self, bounds: Tensor) -> Tensor:
        return bounds


def _cut_padded(t: int, h: int, w: int, side: int, pad_h: int, pad_w: int) -> ItemWindows:
    cells = torch.arange(t * h * w).view(t, h, w)
    cells = F.pad(cells, (0, pad_w, 0, pad_h), value=-1)
    windows = rearrange(cells, "t (h i) (w j) -> (t h w) (i j)", i=side, j=side)
    real = windows >= 0
    return ItemWindows(windows[real], real.sum(1))


# In which order the batch's windows stand.


arrangement: Seam[type[ItemByItem]] = Seam("window arrangement")


@arrangement.naive
class ItemByItem:
    """Item by item, row by row."""

    mixes_frames = False
    """Do cells of different frames mix? Then blocks that attend over whole frames must gather them first."""

    def __init__(self, merge_unit: int) -> None:
        self.merge_unit = merge_unit

    def item(self, windows: ItemWindows) -> ItemWindows:
        """One item's windows, arranged among themselves."""
        return windows

    def batch(self, items: Iterator[ItemWindows]) -> WindowOrder:
        """The windows of all items."""
        index, sizes, orders, offset = [], [], [], 0
        for windows in items:
            index.append(windows.order + offset)
            sizes.append(windows.sizes)
            orders.append(windows.order)
            offset += windows.order.shape[0]
        pieces = [(number, 0, order.shape[0]) for number, order in enumerate(orders)]
        bounds = torch.cat(sizes).cumsum(0, dtype=torch.int32) * self.merge_unit
        return WindowOrder(torch.cat(index), F.pad(bounds, (1, 0)), orders, pieces)


@arrangement.optimization(
    "window-sort",
    removes="with batched-windows, the gather of q, k, v in window layers: windows of one size lie side by side",
    exactness=Exactness.REASSOCIATED,
    source="vlbench",
    applies=(with_windows,),
    beside=("batched-windows",),
)
class BySize(ItemByItem):
    """Largest windows first, over the whole batch."""

    mixes_frames = True

    def item(self, windows: ItemWindows) -> ItemWindows:
        size_of_cell = torch.repeat_interleave(windows.sizes, windows.sizes)
        order = windows.order[torch.argsort(size_of_cell, descending=True, stable=True)]
        return ItemWindows(order, windows.sizes.sort(descending=True, stable=True).values)

    def batch(self, items: Iterator[ItemWindows]) -> WindowOrder:
        arranged = list(items)
        offsets = [0]
        runs: dict[int, list[Piece]] = {}
        for number, windows in enumerate(arranged):
            start = 0
            for size, equal in groupby(windows.sizes.tolist()):
                stop = start + size * len(list(equal))
                runs.setdefault(size, []).append((number, start, stop))
                start = stop
            offsets.append(offsets[-1] + windows.order.shape[0])
        pieces = [piece for size in sorted(runs, reverse=True) if size for piece in runs[size]]
        index = torch.cat([arranged[item].order[start:stop] + offsets[item] for item, start, stop in pieces])
        sizes = torch.cat([windows.sizes for windows in arranged]).sort(descending=True).values
        bounds = sizes.cumsum(0, dtype=torch.int32) * self.merge_unit
        return WindowOrder(index, F.pad(bounds, (1, 0)), [windows.order for windows in arranged], pieces)


# Whether an item's windows are remembered.


window_reuse: Seam[type[WindowsEachTime]] = Seam("window reuse")


@window_reuse.naive
class WindowsEachTime:
    """The windows of every item of a batch."""

    def __init__(self, make: Callable[[Grid], ItemWindows]) -> None:
        self.make = make

    def __call__(self, grids: Grids) -> Iterator[ItemWindows]:
        return map(self.make, grids)

    def caches(self) -> list[ByteCache[Grid, ItemWindows]]:
        """Where it remembers windows."""
        return []


@window_reuse.optimization(
    "window-cache",
    removes="the rebuilding of a grid's window order when the same grid comes again",
    exactness=Exactness.BIT_EXACT,
    source="vLLM get_rope_by_thw (#17973); TensorRT-LLM #11943",
    applies=(with_windows,),
    advice=(
        InCapture(
            "sort kernels",
            "the window order of a grid does not change",
            kernel=r"(?i)radix_?sort|bitonicSort|merge_?sort",
        ),
    ),
)
class CachedWindows(WindowsEachTime):
    """Kept on the host by (t, h, w): one concatenated copy goes to the device, however many items hit."""

    def __init__(self, make: Callable[[Grid], ItemWindows], max_bytes: int = 16 << 20) -> None:
        super().__init__(make)
        self.cache: ByteCache[Grid, ItemWindows] = ByteCache(max_bytes, lambda item: (item.order, item.sizes))

    def __call__(self, grids: Grids) -> Iterator[ItemWindows]:
        return (self.cache.get(grid, partial(self.make, grid)) for grid in grids)

    def caches(self) -> list[ByteCache[Grid, ItemWindows]]:
        return [self.cache]
