"""The optimized tower computes what a model's fields say, whatever its family."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.implementations.towers import NARROW_2, NARROW_2_5, name_of
from vlbench.implementations.config import Activation, VisionConfig
from vlbench.implementations.optimized import FlagSet, OptimizedVisionTower
from vlbench.implementations.optimized.merger import RMSNorm
from vlbench.implementations.optimized.mlp import build_mlp
from vlbench.implementations.optimized.patch_embed import PatchEmbed

families = pytest.mark.parametrize("config", [NARROW_2, NARROW_2_5], ids=name_of)


def flags(config: VisionConfig, *names: str) -> FlagSet:
    return FlagSet(frozenset(names), config, "cpu")


@families
def test_norms(config: VisionConfig) -> None:
    def norms(one: VisionConfig) -> set[type]:
        tower = OptimizedVisionTower(one)
        return {type(module) for module in tower.modules() if isinstance(module, nn.LayerNorm | RMSNorm)}

    assert norms(replace(config, norm="layer_norm")) == {nn.LayerNorm}
    assert norms(replace(config, norm="rms_norm")) == {RMSNorm}


ACTIVATIONS: dict[Activation, nn.Module] = {"gelu_tanh": nn.GELU("tanh"), "silu": nn.SiLU()}


@pytest.mark.parametrize(("config", "activation"), list(product([NARROW_2, NARROW_2_5], ACTIVATIONS)))
def test_mlps(config: VisionConfig, activation: Activation) -> None:
    act, x = ACTIVATIONS[activation], torch.randn(5, config.hidden_size)
    plain = build_mlp(replace(config, mlp="two_linears", activation=activation), flags(config))
    assert torch.equal(plain(x), plain.fc2(act(plain.fc1(x))))
    gated = build_mlp(replace(config, mlp="gated", activation=activation), flags(config))
    assert torch.equal(gated(x), gated.down_proj(act(gated.gate_proj(x)) * gated.up_proj(x)))


def test_the_joined_mlp_has_the_models_activation() -> None:
    config = replace(NARROW_2_5, activation="gelu_tanh")
    mlp, x = build_mlp(config, flags(config, "fused-gate-up")), torch.randn(5, config.hidden_size)
    wanted = mlp.down_proj(F.gelu(mlp.gate_proj(x), approximate="tanh") * mlp.up_proj(x))
    torch.testing.assert_close(mlp(x), wanted)


@pytest.mark.parametrize("names", [(), ("patch-matmul",)])
def test_a_bias_of_the_patches_is_added(names: tuple[str, ...]) -> None:
    config = replace(NARROW_2, patch_bias=True)
    embed, pixels = PatchEmbed(config, flags(config, *names)), torch.randn(5, config.patch_dim)
    assert embed.proj.bias is not None
    nn.init.normal_(embed.proj.bias)
    wanted = F.linear(pixels, embed.proj.weight.flatten(1), embed.proj.bias)
    torch.testing.assert_close(embed(pixels), wanted)
