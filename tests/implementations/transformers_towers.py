"""transformers' own vision towers for a config of ours, with SDPA."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlbench.implementations.config import VisionConfig
from vlbench.implementations.peers.transformers import their_class, their_config as transformers_config

__all__ = ["their_output", "transformers_config", "transformers_tower"]


def transformers_tower(config: VisionConfig) -> nn.Module:
    """Uninitialised, in evaluation mode. Its forward returns the tokens as `pooler_output`."""
    theirs = transformers_config(config)
    theirs._attn_implementation = "sdpa"
    tower: nn.Module = their_class(config)(theirs)
    return tower.eval()


def their_output(tower: nn.Module, pixels: Tensor, grid_thw: Tensor) -> Tensor:
    """Their tokens, and with deepstack their features after them, as `towers.run` has ours."""
    with torch.no_grad():
        returned = tower(pixels, grid_thw)
    features = list(getattr(returned, "deepstack_features", None) or ())
    tokens: Tensor = returned.pooler_output
    return torch.stack([tokens, *features]) if features else tokens
