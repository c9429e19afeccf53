"""The reference tower computes what transformers' towers compute."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from torch import nn

from tests.implementations.grids import AWKWARD, MIXED, Batch, batches
from tests.implementations.towers import (
    TINY,
    joined,
    name_of,
    pixels_of,
    reference_tower,
    relative_error,
    run,
    weights_of,
)
from tests.implementations.transformers_towers import their_output, transformers_tower
from vlbench.implementations.config import MODELS, VisionConfig
from vlbench.implementations.weights import parameter_shapes

families = pytest.mark.parametrize("config", TINY, ids=name_of)
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
TO_THE_BIT = ("qwen3_vl", "qwen3_5")
WIDE = [
    replace(MODELS[name], name=f"{name} of two blocks", depth=2, deepstack_blocks=deepstack)
    for name, deepstack in {"qwen3-vl-8b": (0, 1), "qwen3-vl-2b": (1,), "qwen3.5-0.8b": (), "qwen3.5-9b": ()}.items()
]


@cache
def theirs(config: VisionConfig, dtype: torch.dtype = torch.float32) -> nn.Module:
    tower = transformers_tower(config)
    tower.load_state_dict(weights_of(config, dtype), assign=True)  # their frequencies stay in fp32
    return tower


def check_same_tokens(config: VisionConfig, batch: Batch, dtype: torch.dtype = torch.float32) -> None:
    tokens = their_output(theirs(config, dtype), pixels_of(config, batch).to(dtype), torch.tensor(batch))
    ours = run(reference_tower(config, dtype), config, batch)
    if config.family in TO_THE_BIT:
        assert torch.equal(ours, tokens)
    else:
        assert relative_error(ours, tokens) < 1e-5


@families
@given(batch=batches)
@settings(max_examples=15)
def test_same_tokens_for_any_batch(config: VisionConfig, batch: Batch) -> None:
    check_same_tokens(config, batch)


@families
@pytest.mark.parametrize("batch", AWKWARD, ids=str)
def test_same_tokens_for_awkward_batches(config: VisionConfig, batch: Batch) -> None:
    check_same_tokens(config, batch)


@pytest.mark.parametrize("config", [each for each in TINY if each.family in TO_THE_BIT], ids=name_of)
@given(batch=batches)
@settings(max_examples=10)
def test_the_same_bits_in_bf16(config: VisionConfig, batch: Batch) -> None:
    check_same_tokens(config, batch, torch.bfloat16)


@pytest.mark.slow
@pytest.mark.parametrize("config", WIDE, ids=name_of)
@dtypes
@given(batch=batches)
@settings(max_examples=5)
def test_the_same_bits_at_full_width(config: VisionConfig, dtype: torch.dtype, batch: Batch) -> None:
    check_same_tokens(config, batch, dtype)


@families
def test_same_tokens_where_the_norms_epsilon_counts(config: VisionConfig) -> None:
    """Pixels so near to zero that the variance is of the size of epsilon."""
    pixels, grid_thw = 1e-3 * pixels_of(config, MIXED), torch.tensor(MIXED)
    with torch.no_grad():
        ours = joined(reference_tower(config)(pixels, grid_thw))
    assert relative_error(ours, their_output(theirs(config), pixels, grid_thw)) < 1e-5


@pytest.mark.parametrize("config", MODELS.values(), ids=name_of)
def test_same_keys_and_shapes(config: VisionConfig) -> None:
    with torch.device("meta"):
        expected_shapes = {key: tensor.shape for key, tensor in transformers_tower(config).state_dict().items()}
    assert parameter_shapes(config) == expected_shapes
