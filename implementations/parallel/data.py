"""`encoder-dp`: every rank holds the whole tower, encodes some of the images, and gets the tokens of all.

Every rank is called with the whole batch, as ranks of an engine are, and finds its own share without a word to others.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import timedelta
from itertools import accumulate
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..config import VisionConfig
from ..output import VisionOutput, unpack, with_features
from ..preprocessing import Grid
from .balance import RankError, Shares, item_cost, output_width, shared_out

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

GATHER = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
"""By its newer name where torch has it."""


class EncoderDP(nn.Module):
    """A tower of this process, as one of the ranks of a group; its output is that of all images, on every rank."""

    def __init__(self, tower: nn.Module, config: VisionConfig, group: dist.ProcessGroup | None = None) -> None:
        """`config` is that of the tower. Without `group` it is the default one, which has to be there already."""
        super().__init__()
        self.tower, self.config, self.group = tower, config, group
        self.rank, self.ranks = dist.get_rank(group), dist.get_world_size(group)

    def shares(self, grids: Sequence[Grid]) -> Shares:
        """The items of each rank."""
        return shared_out([item_cost(self.config, grid) for grid in grids], self.ranks)

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor | VisionOutput:
        """Encode pixels [N, patch_dim] of grids [items, 3], in patches; a rank without an item takes part all the same.

        Grids are best on the host: those of a device are read back. Raises RankError where a rank does not take part.
        """
        grids: list[Grid] = [(t, h, w) for t, h, w in grid_thw.tolist()]
        shares = self.shares(grids)
        tokens = [t * h * w // self.config.merge_unit for t, h, w in grids]
        most = max(sum(tokens[item] for item in share) for share in shares)
        own = encode(self.tower, pixels, grid_thw, shares[self.rank])
        width = output_width(self.config)
        mine = pixels.new_empty((most, width), dtype=pixels.dtype if own is None else own.dtype)
        if own is not None:
            mine[: len(own)] = own
        every = self._gather(mine)
        placed: dict[int, Tensor] = {}
        for rank, share in enumerate(shares):
            ends = list(accumulate((tokens[item] for item in share), initial=rank * most))
            placed |= {item: every[start:stop] for item, start, stop in zip(share, ends, ends[1:], strict=False)}
        whole = torch.cat([placed[item] for item in range(len(grids))])
        first, *kept = (part.contiguous() for part in torch.split(whole, self.config.out_hidden_size, dim=1))
        return with_features(first, kept)

    def _gather(self, mine: Tensor) -> Tensor:
        every = mine.new_empty((self.ranks * len(mine), mine.shape[1]))
        try:
            GATHER(every, mine, self.group)
        except RuntimeError as error:  # that of gloo, of NCCL and of the store
            told = re.sub(r"^\[\S+\] ", "", str(error).strip()).partition("\n")[0].partition(". ")[0]
            raise RankError(
                f"rank {self.rank} of {self.ranks}: another rank did not take part in the gather ({told:.120})"
            ) from error
        return every


def encode(tower: nn.Module, pixels: Tensor, grid_thw: Tensor, items: Sequence[int]) -> Tensor | None:
    """These items alone: [their tokens, width of all parts of the output side by side]; None without an item."""
    if not items:
        return None
    rows = grid_thw.prod(dim=1).tolist()
    some = [each for item, each in enumerate(torch.split(pixels, rows)) if item in set(items)]
    return torch.cat([*unpack(tower(torch.cat(some), grid_thw[list(items)])).values()], dim=1)


def meet(store: Store, place: str, told: str, rank: int, ranks: int, seconds: float) -> None:
    """Wait until all ranks have come to `place` and were told the same. Raises RankError and says which were not."""

    def key(other: int) -> str:
        return f"vlbench/{place}/{other}"

    digest = hashlib.sha256(told.encode()).hexdigest()
    store.set(key(rank), digest)
    try:
        store.wait([key(other) for other in range(ranks)], timedelta(seconds=seconds))
    except RuntimeError:
        missing = [other for other in range(ranks) if not store.check([key(other)])]
        raise RankError(f"rank {rank} of {ranks}: {_named(missing)} did not come to {place} in {seconds:g} s") from None
    if other := [other for other in range(ranks) if store.get(key(other)).decode() != digest]:
        raise RankError(f"rank {rank} of {ranks}: {_named(other)} came to {place} with something else than this one")


def _named(ranks: Sequence[int]) -> str:
    return f"rank{'s' * (len(ranks) > 1)} {', '.join(map(str, ranks))}"
