"""The reference towers: the naive ways of early 2025 put together, slower than any one stack; one plain file a model.

Frozen. A stored speed-up is a ratio to these files, so a change here moves every result: do not tidy, do not speed up.
"""

from typing import assert_never

from torch import nn

from ..config import VisionConfig
from . import qwen2_5_vl, qwen2_vl, qwen3_vl


def build_baseline(config: VisionConfig) -> nn.Module:
    """The reference tower of this model, uninitialised as `nn.Module`s are.

    Raises ConfigError for a model that no file here computes.
    """
    whose = f"the reference tower of {config.family}"
    match config.family:
        case "qwen2_vl":
            config.require_family(whose)
            config.require(whose, window_size=None)
            return qwen2_vl.Qwen2VisionTower(config)
        case "qwen2_5_vl":
            config.require_family(whose)
            _ = config.window_cells  # it cannot do without windows
            return qwen2_5_vl.Qwen2_5VisionTower(config)
        case "qwen3_vl" | "qwen3_5":
            config.require_family(whose)
            config.require(whose, window_size=None)
            return qwen3_vl.Qwen3VisionTower(config)
        case _:
            assert_never(config.family)
