from __future__ import annotations

import pytest
import torch

from tests.implementations.towers import TINY, name_of, weights_of
from vlbench.implementations import build_tower
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.weights import OUTLIER_CHANNELS, SharedTensors, parameter_shapes, random_weights

CONFIG = TINY[1]
families = pytest.mark.parametrize("config", TINY, ids=name_of)

# Random weights.


@families
def test_random_weights_follow_the_seed(config: VisionConfig) -> None:
    first, again, other = random_weights(config), random_weights(config), random_weights(config, seed=1)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not any(torch.equal(first[key], other[key]) for key in first)


@families
def test_random_weights_are_scaled_so_that_mistakes_show(config: VisionConfig) -> None:
    weights = random_weights(config)
    assert {key: tensor.shape for key, tensor in weights.items()} == parameter_shapes(config)
    width = config.hidden_size
    assert weights["blocks.0.attn.qkv.weight"].std() * width**0.5 == pytest.approx(1.4, rel=0.05)
    assert weights["blocks.0.attn.proj.weight"].std() * width**0.5 == pytest.approx(
        2 / (2 * config.depth) ** 0.5, rel=0.05
    )
    merger = "merger.linear_fc1.weight" if config.position_table else "merger.mlp.0.weight"
    assert weights[merger].std() * (4 * width) ** 0.5 == pytest.approx(1, rel=0.05)
    last = weights.get("blocks.0.mlp.linear_fc2.weight")
    if last is not None:
        gain = 2 / (2 * config.depth) ** 0.5
        assert last.std() * config.intermediate_size**0.5 == pytest.approx(gain, rel=0.05)
        assert weights["pos_embed.weight"].std() == pytest.approx(1, rel=0.05)
    assert weights["blocks.0.norm1.weight"].mean() == pytest.approx(1, abs=0.05)
    assert weights["blocks.0.attn.qkv.bias"].std() == pytest.approx(0.05, rel=0.2)
    size = weights["patch_embed.proj.weight"].flatten(1).norm(dim=1)
    assert int((size > 4 * size.median()).sum()) == OUTLIER_CHANNELS


def test_random_weights_come_in_the_wanted_dtype_with_the_same_draw() -> None:
    half = random_weights(CONFIG, dtype=torch.bfloat16)
    assert all(torch.equal(half[key], tensor.bfloat16()) for key, tensor in random_weights(CONFIG).items())


# Sharing.


@families
def test_towers_share_weights_without_a_copy(config: VisionConfig) -> None:
    weights = weights_of(config)
    for flags in (None, (), ("host-grid", "no-einops")):
        tower = build_tower(config, flags, weights)
        assert tower.state_dict().keys() == weights.keys()
        for key, tensor in tower.state_dict().items():
            assert tensor.data_ptr() == weights[key].data_ptr()
        assert not tower.training
        assert not any(parameter.requires_grad for parameter in tower.parameters())


def test_a_join_is_made_once_for_the_same_parts() -> None:
    first, second, third = torch.ones(2, 3), torch.zeros(1, 3), torch.ones(2, 3)
    shared = SharedTensors()
    joined = shared.joined(first, second)
    torch.testing.assert_close(joined, torch.cat([first, second]))
    assert shared.joined(first, second) is joined
    assert shared.joined(third, second) is not joined


def test_joins_of_tensors_without_memory_are_kept_apart() -> None:
    shared = SharedTensors()
    with torch.device("meta"):
        weights, biases = shared.joined(torch.ones(2, 3), torch.ones(2, 3)), shared.joined(torch.ones(2), torch.ones(2))
    assert (weights.shape, biases.shape) == ((4, 3), (4,))
