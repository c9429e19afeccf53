"""What is measured: the frozen baselines, the optimized tower and its flags, and other people's towers.

Relative imports only, so that two revisions of this package can be loaded side by side under two names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from .config import VisionConfig
    from .weights import SharedTensors


def build_tower(
    config: VisionConfig, flags: Iterable[str] | None, weights: SharedTensors, device: str | None = None
) -> nn.Module:
    """The reference tower (flags None) or the optimized tower with `flags`, sharing `weights`, ready for inference.

    `device` is the kind of device that flags are judged by; by default, that of the weights.
    """
    import torch

    from .baseline import build_baseline
    from .optimized import OptimizedVisionTower
    from .weights import adopt

    kind = device or next(iter(weights.values())).device.type
    with torch.device("meta"):
        tower = build_baseline(config) if flags is None else OptimizedVisionTower(config, flags, kind)
    return adopt(tower, weights)
