"""Runs towers on several ranks over gloo and keeps what each returned: `python -m ... FOLDER`, once for all tests.

The ranks are forked from one process that has imported torch, so that a rank costs next to nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from vlbench.implementations import build_tower
from vlbench.implementations.config import MODELS, VisionConfig
from vlbench.implementations.output import unpack
from vlbench.implementations.parallel.balance import RankError
from vlbench.implementations.parallel.data import EncoderDP, encode, meet
from vlbench.implementations.weights import random_weights

MIXED = ((1, 8, 12), (4, 8, 8), (1, 4, 4), (1, 16, 20), (2, 4, 6))
ONE_LARGE = ((1, 4, 4), (1, 24, 24), (1, 4, 6), (1, 4, 4))
FEW = ((1, 8, 8), (1, 4, 4))
BATCHES = {"mixed": MIXED, "one large": ONE_LARGE, "few": FEW, "one": FEW[:1]}
MODELS_RUN = ("qwen2-vl-tiny", "qwen2.5-vl-tiny", "qwen3-vl-tiny")


def batch_of(config: VisionConfig, grids: tuple[tuple[int, int, int], ...]) -> tuple[Tensor, Tensor]:
    """Noise, the same in every process."""
    patches = sum(t * h * w for t, h, w in grids)
    pixels = torch.randn(patches, config.patch_dim, generator=torch.Generator().manual_seed(0))
    return pixels, torch.tensor(grids)


@cache
def tower_of(model: str) -> nn.Module:
    """The reference tower with random weights, made before the ranks are."""
    return build_tower(MODELS[model], None, random_weights(MODELS[model]))


@torch.inference_mode()
def data_parallel(rank: int, ranks: int) -> dict[str, Any]:
    """Outputs of all batches and models, beside what this process alone gives for the batch and for each share."""
    found = {}
    for model in MODELS_RUN:
        config, tower = MODELS[model], tower_of(model)
        spread = EncoderDP(tower, config)
        for name, grids in BATCHES.items():
            pixels, grid_thw = batch_of(config, grids)
            shares = spread.shares(grids)
            parted = dict.fromkeys(range(len(grids)))
            for share in shares:
                together = encode(tower, pixels, grid_thw, share)
                sizes = [grids[item][0] * grids[item][1] * grids[item][2] // 4 for item in share]
                parted |= dict(zip(share, together.split(sizes) if together is not None else (), strict=True))
            found[model, name] = {
                "parts": unpack(spread(pixels, grid_thw)),
                "whole": unpack(tower(pixels, grid_thw)),
                "shares": shares,
                "by share": torch.cat([parted[item] for item in range(len(grids))]),
            }
    return found


class Split(nn.Module):
    """A linear layer of which this rank has some of the inputs; the sum over ranks is counted in `seen`."""

    def __init__(self, layer: nn.Linear, rank: int, ranks: int, seen: list[int]) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight.chunk(ranks, dim=1)[rank], layer.bias
        self.seen = seen

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs of this rank] -> [..., outputs]."""
        out = x @ self.weight.T
        dist.all_reduce(out)
        self.seen.append(out.numel())
        return out + self.bias


def by_outputs(layer: nn.Linear, rank: int, ranks: int, groups: int = 1) -> None:
    """Keep this rank's outputs of a layer, out of each of `groups` parts."""
    for name in ("weight", "bias"):
        parts = getattr(layer, name).data.chunk(groups)
        setattr(layer, name, nn.Parameter(torch.cat([part.chunk(ranks)[rank] for part in parts])))


@torch.inference_mode()
def tensor_parallel(rank: int, ranks: int) -> dict[str, Any]:
    """A reference tower split over the ranks: its output, the whole tower's, and the numbers in each sum."""
    found = {}
    for model in MODELS_RUN:
        config, tower = MODELS[model], tower_of(model)
        pixels, grid_thw = batch_of(config, MIXED)
        whole, seen = unpack(tower(pixels, grid_thw)), list[int]()
        for block in tower.blocks:
            by_outputs(block.attn.qkv, rank, ranks, 3)
            block.attn.num_heads //= ranks
            block.attn.proj = Split(block.attn.proj, rank, ranks, seen)
            *up, down = (name for name, each in block.mlp.named_children() if isinstance(each, nn.Linear))
            for name in up:
                by_outputs(getattr(block.mlp, name), rank, ranks)
            setattr(block.mlp, down, Split(getattr(block.mlp, down), rank, ranks, seen))
        for merger in (tower.merger, *getattr(tower, "deepstack_merger_list", ())):
            holders = [
                (holder, name)
                for holder in merger.modules()
                for name, each in holder.named_children()
                if isinstance(each, nn.Linear)
            ]
            (first, first_name), (last, last_name) = holders
            by_outputs(getattr(first, first_name), rank, ranks)
            setattr(last, last_name, Split(getattr(last, last_name), rank, ranks, seen))
        found[model] = {"parts": unpack(tower(pixels, grid_thw)), "whole": whole, "sums": seen}
    return found


def one_dies(rank: int, ranks: int) -> dict[str, Any]:
    """The last rank is gone before the gather, and the others say so."""
    spread = EncoderDP(tower_of("qwen2-vl-tiny"), config := MODELS["qwen2-vl-tiny"])
    if rank == ranks - 1:
        os._exit(7)
    with torch.inference_mode():
        try:
            spread(*batch_of(config, MIXED))
        except RankError as error:
            return {"said": str(error)}
    return {"said": ""}


def one_hangs(rank: int, ranks: int) -> dict[str, Any]:
    """The last rank does not come in time."""
    store = dist.distributed_c10d._get_default_store()
    if rank == ranks - 1:
        return {"said": ""}
    try:
        meet(store, "the start", "", rank, ranks, 0.5)
    except RankError as error:
        return {"said": str(error)}
    return {"said": "nothing"}


def one_differs(rank: int, ranks: int) -> dict[str, Any]:
    """The last rank has another batch."""
    store = dist.distributed_c10d._get_default_store()
    try:
        meet(store, "the batch", str(rank == ranks - 1), rank, ranks, 20)
    except RankError as error:
        return {"said": str(error)}
    return {"said": ""}


WORK: dict[str, tuple[Callable[[int, int], dict[str, Any]], int]] = {
    "dp 2": (data_parallel, 2),
    "dp 3": (data_parallel, 3),
    "tp 2": (tensor_parallel, 2),
    "dies": (one_dies, 3),
    "hangs": (one_hangs, 3),
    "differs": (one_differs, 3),
}


def main(folder: Path) -> None:
    """Fork the ranks of each piece of work and wait for them."""
    torch.set_num_threads(1)
    for model in MODELS_RUN:
        tower_of(model)
    for name, (work, ranks) in WORK.items():
        children = []
        for rank in range(ranks):
            if not (child := os.fork()):
                store = dist.FileStore(str(folder / f"{name}.store"), ranks)
                dist.init_process_group("gloo", store=store, rank=rank, world_size=ranks, timeout=timedelta(seconds=20))
                torch.save(work(rank, ranks), folder / f"{name} {rank}.pt")
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
