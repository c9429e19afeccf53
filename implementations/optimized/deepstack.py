"""Deepstack of Qwen3-VL: after some blocks, merged tokens are handed out as well, for early layers of the language
model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..config import VisionConfig
from .merger import NamedMerger
from .seam import Exactness, Seam


def with_deepstack(config: VisionConfig, device: str) -> str | None:
    """For flags about deepstack."""
    return None if config.deepstack_blocks else f"{config.name} has no deepstack"


# Which level a block has.

Level = Callable[[int], int | None]
"""From the number of a block to its level, None where nothing is handed out after it."""
levels: Seam[Callable[[Sequence[int]], Level]] = Seam("deepstack levels")


@levels.naive
def search(blocks: Sequence[int]) -> Level:
    """A search among the blocks after every block, and another for the level."""
    return lambda block: blocks.index(block) if block in blocks else None


@levels.optimization(
    "deepstack-dict",
    removes="Python time, about a microsecond a forward: two searches among three blocks become one look-up",
    exactness=Exactness.BIT_EXACT,
    source="TensorRT-LLM #11943",
    applies=(with_deepstack,),
)
def look_up(blocks: Sequence[int]) -> Level:
    """A dictionary, made once."""
    return {block: level for level, block in enumerate(blocks)}.get


# Where the features of the levels are written.

features: Seam[type[TensorEach]] = Seam("deepstack features")


@features.naive
class TensorEach:
    """A tensor of its own for each level."""

    def begin(self, x: Tensor, config: VisionConfig) -> list[Tensor]:
        """What the features of a forward whose hidden states are x [N, C] are kept in."""
        return []

    def take(self, kept: list[Tensor], level: int, merger: NamedMerger, x: Tensor) -> None:
        """Keep the features of a level, [N / 4, out_hidden_size], made of x [N, C]."""
        kept.append(merger(x))


@features.optimization(
    "deepstack-prealloc",
    removes="the allocation of each level: one tensor for all, which the language model can copy at once; no launch",
    exactness=Exactness.BIT_EXACT,
    source="TensorRT-LLM #11943; vLLM's deepstack_input_embeds",
    applies=(with_deepstack,),
)
class OneTensor(TensorEach):
    """Each forward has one of its own, so no row of an earlier, longer batch is left in it."""

    def begin(self, x: Tensor, config: VisionConfig) -> list[Tensor]:
        """A view of the one tensor for each level."""
        shape = (len(config.deepstack_blocks), x.shape[0] // config.merge_unit, config.out_hidden_size)
        return list(x.new_empty(shape).unbind(0))

    def take(self, kept: list[Tensor], level: int, merger: NamedMerger, x: Tensor) -> None:
        """The merger's last product is written where it belongs."""
        last = merger.linear_fc2
        torch.addmm(last.bias, merger.hidden(x), last.weight.T, out=kept[level])
