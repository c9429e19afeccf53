"""A team's own tower, as it stands in a copy of the package: called with pixels and grids, cast as serving stacks do.

It is copied into the copy and imports from there; only the word for a tower comes from vlbench.
"""

from __future__ import annotations

from collections.abc import Mapping
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


def _tower(model: str) -> vlbench.Tower:
    def load(weights: Mapping[str, Tensor]) -> nn.Module:
        from . import build_tower
        from .config import MODELS
        from .optimized import preset_flags
        from .weights import SharedTensors

        first = next(iter(weights.values()))
        flags, _ = preset_flags("best", MODELS[model], first.device.type)
        return build_tower(MODELS[model], flags, SharedTensors(weights), first.device.type).to(first.dtype)

    def make(device: torch.device, dtype: torch.dtype) -> nn.Module:
        from .config import MODELS
        from .weights import random_weights

        return load({key: tensor.to(device) for key, tensor in random_weights(MODELS[model], dtype=dtype).items()})

    return vlbench.Tower(
        make, load, model, arguments=lambda pixels, grid_thw: (pixels, grid_thw), stages=STAGES, source="a copy of ours"
    )


tiny = _tower("qwen2.5-vl-tiny")
full = _tower("qwen2.5-vl-7b")
