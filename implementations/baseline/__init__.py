"""The yardstick: the naive forwards of early 2025, one plain file per model, without flags.

Frozen. A stored speed-up is a ratio to these files, so a change here moves every result: do not tidy, do not speed up.
"""

from __future__ import annotations

from torch import nn

from ..config import VisionConfig
from . import qwen2_5_vl, qwen2_vl


def build_baseline(config: VisionConfig) -> nn.Module:
    """The yardstick of this model, uninitialised as `nn.Module`s are."""
    towers = {"qwen2_vl": qwen2_vl.Qwen2VisionTower, "qwen2_5_vl": qwen2_5_vl.Qwen2_5VisionTower}
    return towers[config.family](config)
