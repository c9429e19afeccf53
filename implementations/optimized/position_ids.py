"""Row and column of every patch: where they are made, and whether they are remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import torch
from einops import rearrange
from torch import Tensor

from .advice import INDEXING, POSITIONS, InCode
from .cache import ByteCache
from .grids import Grid
from .seam import Exactness, Seam, on_cuda

HOST_IDS = InCode("make the ids on the device, or remember the rows", "implicit upload", INDEXING, POSITIONS, False)

PositionIds = Callable[[Iterable[Grid], int, torch.device], Tensor]
position_ids: Seam[PositionIds] = Seam("position ids")


def _ids(grids: Iterable[Grid], merge: int, device: torch.device | None) -> Tensor:
    ids = []
    for t, h, w in grids:
        rows = torch.arange(h, device=device).unsqueeze(1).expand(h, w)
        columns = torch.arange(w, device=device).unsqueeze(0).expand(h, w)
        in_cells = (rearrange(x, "(h i) (w j) -> (h w i j)", i=merge, j=merge) for x in (rows, columns))
        ids.append(torch.stack(tuple(in_cells), dim=-1).repeat(t, 1))
    return torch.cat(ids, dim=0)  # [N, 2]


@position_ids.naive
def ids_on_host(grids: Iterable[Grid], merge: int, device: torch.device) -> Tensor:
    """On the host. Indexing a device table with them copies them over, and the host waits."""
    return _ids(grids, merge, None)


@position_ids.optimization(
    "device-pos-ids",
    removes="the hidden blocking copy when host indices meet a device table, for six small launches an image",
    exactness=Exactness.BIT_EXACT,
    source="transformers; an agent's patch to vLLM's Qwen2-VL, 2025",
    applies=(on_cuda,),
    advice=(HOST_IDS,),
)
def ids_on_device(grids: Iterable[Grid], merge: int, device: torch.device) -> Tensor:
    """On the device, where the table is."""
    return _ids(grids, merge, device)


ids_reuse: Seam[type[IdsEachTime]] = Seam("position id reuse")


@ids_reuse.naive
@dataclass
class IdsEachTime:
    """Row and column of every patch of a batch, [N, 2]."""

    make: PositionIds
    merge: int

    def __call__(self, grids: Iterable[Grid], device: torch.device) -> Tensor:
        return self.make(grids, self.merge, device)

    def caches(self) -> list[ByteCache[tuple[int, int], Tensor]]:
        """Where it remembers ids."""
        return []


@ids_reuse.optimization(
    "pos-ids-cache",
    removes="the making of the ids of (rows, columns) seen before: host time, or with device-pos-ids their launches",
    exactness=Exactness.BIT_EXACT,
    source="SGLang #14292; VeOmni #734",
)
@dataclass
class RememberedIds(IdsEachTime):
    """By rows and columns, where they were made: 16 bytes a patch."""

    max_bytes: int = 16 << 20

    def __post_init__(self) -> None:
        self.cache: ByteCache[tuple[int, int], Tensor] = ByteCache(self.max_bytes, lambda ids: (ids,))

    def __call__(self, grids: Iterable[Grid], device: torch.device) -> Tensor:
        found = []
        for t, h, w in grids:
            ids = self.cache.get((h, w), partial(self.make, [(1, h, w)], self.merge, device))
            found.append(ids if t == 1 else ids.repeat(t, 1))
        return found[0] if len(found) == 1 else torch.cat(found)

    def caches(self) -> list[ByteCache[tuple[int, int], Tensor]]:
        """The one."""
        return [self.cache]
