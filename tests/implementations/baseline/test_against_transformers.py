"""The yardstick computes what transformers' towers compute."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from hypothesis import given, settings
from torch import nn

from tests.implementations.grids import AWKWARD, MIXED, Batch, batches
from tests.implementations.towers import TINY, expected, name_of, pixels_of, relative_error, weights_of, yardstick
from tests.implementations.transformers_towers import transformers_tower
from vlbench.implementations.config import MODELS, VisionConfig
from vlbench.implementations.weights import parameter_shapes

families = pytest.mark.parametrize("config", TINY, ids=name_of)


@cache
def theirs(config: VisionConfig) -> nn.Module:
    tower = transformers_tower(config)
    tower.load_state_dict(weights_of(config))
    return tower


def check_same_tokens(config: VisionConfig, batch: Batch) -> None:
    with torch.no_grad():
        tokens = theirs(config)(pixels_of(config, batch), torch.tensor(batch)).pooler_output
    assert relative_error(expected(config, batch), tokens) < 1e-5


@families
@given(batch=batches)
@settings(max_examples=30)
def test_same_tokens_for_any_batch(config: VisionConfig, batch: Batch) -> None:
    check_same_tokens(config, batch)


@families
@pytest.mark.parametrize("batch", AWKWARD, ids=str)
def test_same_tokens_for_awkward_batches(config: VisionConfig, batch: Batch) -> None:
    check_same_tokens(config, batch)


@families
def test_same_tokens_where_the_norms_epsilon_counts(config: VisionConfig) -> None:
    """Pixels so near to zero that the variance is of the size of epsilon."""
    pixels, grid_thw = 1e-3 * pixels_of(config, MIXED), torch.tensor(MIXED)
    with torch.no_grad():
        tokens = theirs(config)(pixels, grid_thw).pooler_output
        assert relative_error(yardstick(config)(pixels, grid_thw), tokens) < 1e-5


@pytest.mark.parametrize("config", MODELS.values(), ids=name_of)
def test_same_keys_and_shapes(config: VisionConfig) -> None:
    with torch.device("meta"):
        expected_shapes = {key: tensor.shape for key, tensor in transformers_tower(config).state_dict().items()}
    assert parameter_shapes(config) == expected_shapes
