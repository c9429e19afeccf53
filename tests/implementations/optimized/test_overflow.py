"""What fp16 cannot hold before the merger: clamped where the flag says so, and nothing else is touched."""

from __future__ import annotations

import pytest
import torch

from tests.implementations.grids import MIXED
from tests.implementations.towers import NARROW, name_of, reference_tower, run, weights_of
from vlbench.implementations import build_tower
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.optimized.overflow import clamped
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
    assert kept.any()
    assert torch.equal(guarded[kept], tokens[kept])


@pytest.mark.parametrize("config", NARROW, ids=name_of)
def test_what_does_not_overflow_keeps_its_bits(config: VisionConfig) -> None:
    tower = build_tower(config, ("fp16-clamp",), weights_of(config, HALF))
    assert torch.equal(run(tower, config, MIXED), run(reference_tower(config, HALF), config, MIXED))


def test_infinity_alone_is_changed() -> None:
    """Every finite number of fp16 keeps its bits, the largest among them, and NaN stays."""
    numbers = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(HALF)
    finite, infinite = numbers[numbers.isfinite()], torch.tensor([torch.inf, -torch.inf], dtype=HALF)
    assert torch.equal(clamped(finite).view(torch.int16), finite.view(torch.int16))
    assert clamped(infinite).tolist() == [65504, -65504]
    assert clamped(numbers[numbers.isnan()]).isnan().all()
    assert clamped(infinite.float()).tolist() == infinite.tolist()
