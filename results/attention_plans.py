"""How many attention plans cuDNN builds for a 7B tower, call by call: where grids are new, in every call.

Blocks of one kind attend alike, so a tower of two blocks, one of which sees whole frames, needs the plans of all.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from results.count_flags import DTYPE, MODEL, Flags, grids_of, weights_of
from vlbench.counting_device import CountingDevice
from vlbench.implementations import build_tower
from vlbench.implementations.config import VisionConfig
from vlbench.record.base import Grid
from vlbench.trial.churn import churned

CHURN = 8
"""Calls on grids that are drawn anew, as `vlbench run --state churn` draws them."""


def plans_built(
    device: CountingDevice, flags: Flags, calls: Sequence[Sequence[Grid]], config: VisionConfig = MODEL
) -> list[int]:
    """Plans that each of these calls has cuDNN build, one after the other in a new process.

    `flags` are those of the optimized tower, None for the reference tower; each call is the grids that it is fed, such
    as `states_of` has them. 0 wherever the device's profile does not prefer cuDNN.
    """
    gc.collect()
    shape = replace(config, depth=2, fullatt_block_indexes=(1,) if config.fullatt_block_indexes else ())
    module = device.build(lambda: build_tower(shape, flags, weights_of(shape, device), "cuda"))
    device.forget_plans()
    return [_plans(device, module, grids, config) for grids in calls]


def states_of(scenario: str, seed: int = 0) -> Iterator[Sequence[Grid]]:
    """A first call on a scenario of one point, the same again (warm), and the calls of churn."""
    grids = grids_of(scenario)
    yield from (grids, grids)
    yield from (churned(grids, MODEL.preprocessing, seed, number) for number in range(CHURN))


def _plans(device: CountingDevice, module: torch.nn.Module, grids: Sequence[Grid], config: VisionConfig) -> int:
    pixels = device.pixels((sum(t * h * w for t, h, w in grids), config.patch_dim), DTYPE)
    with torch.inference_mode(), device.count() as counter:
        module(pixels, torch.tensor(grids))
    if not counter.report.complete:
        raise RuntimeError(f"not counted: {counter.report.unknown or counter.report.not_measured}")
    return counter.report.total.attention_plans
