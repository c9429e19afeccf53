"""What every flag has to pass, whoever adds it: results as close to the reference tower's as its class says."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import pytest
import torch
from torch import nn

from tests.implementations.grids import Batch
from tests.implementations.towers import expected, relative_error, run, weights_of
from vlbench.implementations import build_tower
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.execution import compiled
from vlbench.implementations.optimized import OPTIMIZATIONS, Exactness, OptimizedVisionTower, with_requirements

BUDGET = 1e-5
"""Relative L2 error in fp32 that flags beyond bit-exact may have."""

NEEDS_CUDA = {"pinned-h2d", "inverse-pinned"}
"""Pinned memory exists only beside a GPU. What else is for CUDA is declared so here and computed on the CPU."""
compiled.BACKEND = "eager"  # what a compiler makes of what it is given is its own matter, and takes minutes


def marks(flag: str) -> tuple[pytest.MarkDecorator, ...]:
    """What has no counts is compiled: tracing takes seconds."""
    return (pytest.mark.slow,) if OPTIMIZATIONS[flag].uncounted else ()


def device_kind(flags: Iterable[str], config: VisionConfig) -> str:
    """The kind of device that these flags are judged by: a GPU where one of them means nothing without."""
    return "cuda" if any(OPTIMIZATIONS[flag].inapplicable(config, "cpu") for flag in flags) else "cpu"


def why_not(flags: Iterable[str], config: VisionConfig) -> str | None:
    """Why these flags and what they need cannot be one tower, judged without FlagSet; None where they can."""
    chosen = with_requirements(flags)
    for flag in sorted(chosen):
        if reason := OPTIMIZATIONS[flag].inapplicable(config, device_kind(chosen, config)):
            return reason
    seams = [OPTIMIZATIONS[flag].seam.name for flag in chosen]
    return "two ways of one seam" if len(set(seams)) < len(seams) else None


def skip_without_gpu(flags: Iterable[str]) -> None:
    if NEEDS_CUDA & set(flags) and not torch.cuda.is_available():
        pytest.skip("pinned memory needs a CUDA device")


def home(flags: Iterable[str]) -> str:
    """Where the tensors live: on a GPU only if pinned memory asks for one."""
    return "cuda" if NEEDS_CUDA & set(flags) else "cpu"


@cache
def tower_with(flags: frozenset[str], config: VisionConfig) -> nn.Module:
    return build_tower(config, flags, weights_of(config, device=home(flags)), device_kind(flags, config))


def check_exactness(flags: Iterable[str], config: VisionConfig, batches: Iterable[Batch]) -> None:
    """`flags` and what they need give the reference tower's tokens, as closely as the loosest of them promises."""
    chosen = with_requirements(flags)
    skip_without_gpu(chosen)
    tower = tower_with(chosen, config)
    assert isinstance(tower, OptimizedVisionTower)
    promised = tower.flags.exactness()
    for batch in batches:
        for _ in range(2 if tower.caches() else 1):  # the second time from the caches
            tokens, reference = run(tower, config, batch), expected(config, batch, home(chosen))
            assert tokens.shape == reference.shape
            if promised is Exactness.BIT_EXACT:
                assert torch.equal(tokens, reference), f"{sorted(chosen)} on {batch}: not equal to the last bit"
            elif promised is not Exactness.RESULT_CHANGING:
                assert relative_error(tokens, reference) <= BUDGET, f"{sorted(chosen)} on {batch}"
            assert tokens.isfinite().all()
