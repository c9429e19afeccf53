"""A team's own tower, as it stands in a copy of the package: called with pixels and grids, cast as serving stacks do.

It is copied into the copy and imports from there; only the word for a tower comes from vlbench.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import vlbench

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

STAGES = {
    "planner": "plan",
    "patch_embed": "patch_embed",
    "blocks.*.attn": "block[{}].attention",
    "blocks.*.mlp": "block[{}].mlp",
    "merger": "merger",
}


def _tower(model: str, **narrower: int) -> vlbench.Tower:
    """The tower that `best` makes of a model; with other widths, which no checkpoint has, where they are given."""

    def load(weights: Mapping[str, Tensor]) -> nn.Module:
        from . import build_tower
        from .config import MODELS
        from .optimized import preset_flags
        from .weights import SharedTensors

        first = next(iter(weights.values()))
        flags, _ = preset_flags("best", MODELS[model], first.device.type)
        config = replace(MODELS[model], **narrower)
        return build_tower(config, flags, SharedTensors(weights), first.device.type).to(first.dtype)

    def make(device: torch.device, dtype: torch.dtype) -> nn.Module:
        from .config import MODELS
        from .weights import random_weights

        weights = random_weights(replace(MODELS[model], **narrower), dtype=dtype)
        return load({key: tensor.to(device) for key, tensor in weights.items()})

    ours = {} if narrower else {"load": load, "model": model}
    return vlbench.Tower(
        make, **ours, arguments=lambda pixels, grid_thw: (pixels, grid_thw), stages=STAGES, source="a copy of ours"
    )


tiny = _tower("qwen2.5-vl-tiny")
deep = _tower("qwen2.5-vl-7b", hidden_size=160, num_heads=2, intermediate_size=428, out_hidden_size=448)
"""As deep as the tower of 7B and with heads of its size, so that it asks for the same; an eighth as wide, so that what
it makes is checked in seconds."""
