"""Plans of a tower with given flags, for tests of what follows from the grids."""

from __future__ import annotations

from functools import cache

import torch

from tests.implementations.grids import Batch
from tests.implementations.towers import weights_of
from vlbench.implementations import build_tower
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.optimized import OptimizedVisionTower
from vlbench.implementations.optimized.plan import VisionPlan


def new_tower(config: VisionConfig, *flags: str) -> OptimizedVisionTower:
    """A tower of its own, with empty caches."""
    tower = build_tower(config, flags, weights_of(config))
    assert isinstance(tower, OptimizedVisionTower)
    return tower


@cache
def tower_for(config: VisionConfig, *flags: str) -> OptimizedVisionTower:
    """A tower that tests share."""
    return new_tower(config, *flags)


def plan_of(tower: OptimizedVisionTower, batch: Batch) -> VisionPlan:
    plan: VisionPlan = tower.planner(torch.tensor(batch), torch.device("cpu"))
    return plan
