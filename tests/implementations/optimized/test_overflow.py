"""What fp16 cannot hold before the merger: clamped where the flag says so, and nothing else is touched."""

from __future__ import annotations

import pytest
import torch

from tests.implementations.grids import MIXED
from tests.implementations.towers import NARROW, name_of, reference_tower, relative_error, run, weights_of
from vlbench.implementations import build_tower
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.weights import SharedTensors

HALF = torch.float16


def overflowing(config: VisionConfig) -> SharedTensors:
    """The last block's MLP gives more than fp16 holds, and no product before it does."""
    weights = SharedTensors(weights_of(config, HALF))
    _, last = config.mlp_linears
    name = "down_proj" if config.mlp == "gated" else last
    key = f"blocks.{config.depth - 1}.mlp.{name}.weight"
    weights[key] = weights[key] * 4e4
    return weights


@pytest.mark.parametrize("config", NARROW, ids=name_of)
def test_an_overflow_in_the_last_block_leaves_numbers(config: VisionConfig) -> None:
    weights = overflowing(config)
    without, clamped = (run(build_tower(config, flags, weights), config, MIXED) for flags in ((), ("fp16-clamp",)))
    tokens, guarded = (each if each.ndim == 2 else each[0] for each in (without, clamped))
    assert not tokens.isfinite().all()
    assert guarded.isfinite().all()
    kept = tokens.isfinite().all(-1)
    assert relative_error(guarded[kept], tokens[kept]) < 0.02  # vLLM's limit lies a little below the largest number


@pytest.mark.parametrize("config", NARROW, ids=name_of)
def test_what_does_not_overflow_keeps_its_bits(config: VisionConfig) -> None:
    tower = build_tower(config, ("fp16-clamp",), weights_of(config, HALF))
    assert torch.equal(run(tower, config, MIXED), run(reference_tower(config, HALF), config, MIXED))
