"""`pos-embed-triton`: the learned positions of all patches at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ...config import VisionConfig
from ...operators import operator
from ..grids import Grids
from ..positions import (
    ImageByImage,
    Positions,
    around,
    described,
    patches_of,
    position_embedding,
    weighted,
    with_learned_positions,
)
from ..seam import Exactness
from ..traffic import Traffic
from .launch import ON_A_CPU, ON_A_GPU, block, launch, require

FLAG = "pos-embed-triton"


def resample_plainly(items: Tensor, table: Tensor, side: int, merge: int, patches: int, dtype: torch.dtype) -> Tensor:
    """In plain torch."""
    return weighted(*around(items, patches, side, merge), table, dtype)


def resample_on_gpu(items: Tensor, table: Tensor, side: int, merge: int, patches: int, dtype: torch.dtype) -> Tensor:
    """One program a patch."""
    out, width = empty(items, table, side, merge, patches, dtype), table.shape[1]
    require("the learned table", (side * side, width), {"table": table})
    blocks = {"block_items": block(len(items)), "block_width": block(width)}
    launch("positions.resample", FLAG, patches, items, table, out, len(items), side, width, merge=merge, **blocks)
    return out


def empty(items: Tensor, table: Tensor, side: int, merge: int, patches: int, dtype: torch.dtype) -> Tensor:
    """The positions, [N, C], not yet written."""
    return table.new_empty((patches, table.shape[1]), dtype=dtype)


resample = operator(
    "resample(Tensor items, Tensor table, int side, int merge, int patches, ScalarType dtype) -> Tensor",
    plain=resample_plainly,
    gpu=resample_on_gpu,
    fake=empty,
)


def traffic(config: VisionConfig, patches: int, element: int) -> Traffic:
    """Four rows of the table for each patch, most of which neighbours read, too; and what is known of one item."""
    row = config.hidden_size * element
    moved = patches * (5 * row + 4 * torch.int64.itemsize)
    return Traffic(moved, (patches + min(config.position_table, 4 * patches)) * row + 4 * torch.int64.itemsize)


@position_embedding.optimization(
    FLAG,
    removes=f"all launches but one, for one small upload: a wait, unless pinned; {ON_A_CPU}",
    exactness=Exactness.BIT_EXACT,
    source="vLLM's Triton kernel, image by image; TensorRT-LLM #11943",
    applies=(with_learned_positions,),
    traffic=traffic,
    note=ON_A_GPU,
)
class InOneKernel(ImageByImage):
    """Every patch finds its item, its row and its column from its number."""

    def plan(self, grids: Grids, device: torch.device, send: Callable[[Tensor], Tensor]) -> Positions:
        """One small upload, four numbers an item."""
        items = described(grids)
        return partial(self.positions, send(items), patches_of(items))

    def positions(self, items: Tensor, patches: int, table: Tensor, dtype: torch.dtype) -> Tensor:
        """What the table [side * side, C] comes to for all patches, [N, C]."""
        return resample(items, table, self.side, self.merge, patches, dtype)
