from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.implementations.grids import MIXED
from tests.implementations.optimized.plans import new_tower
from tests.implementations.towers import NARROW_2_5, relative_error, run, weights_of
from vlbench.implementations import build_tower
from vlbench.implementations.optimized.mlp import FusedGatedMLP, GatedMLP
from vlbench.implementations.weights import SharedTensors, adopt, random_weights

FUSED = "fused-gate-up"


def mlps(tower: nn.Module) -> list[FusedGatedMLP]:
    return [module for module in tower.modules() if isinstance(module, FusedGatedMLP)]


def joined(tower: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Weight and bias by block."""
    return [mlp.joined for mlp in mlps(tower) if mlp.joined is not None]


def test_two_towers_use_the_same_joined_weights() -> None:
    first, second = new_tower(NARROW_2_5, FUSED), new_tower(NARROW_2_5, FUSED, "host-grid")
    run(first, NARROW_2_5, MIXED)
    run(second, NARROW_2_5, MIXED)
    for ours, theirs in zip(joined(first), joined(second), strict=True):
        assert ours[0] is theirs[0]
        assert ours[1] is theirs[1]
    assert len({ours[0].data_ptr() for ours in joined(first)}) == NARROW_2_5.depth


def test_towers_of_other_weights_do_not() -> None:
    first, second = new_tower(NARROW_2_5, FUSED), build_tower(NARROW_2_5, [FUSED], random_weights(NARROW_2_5, seed=1))
    assert joined(first)[0][0] is not joined(second)[0][0]


def test_no_joined_weight_is_in_the_state_dict() -> None:
    assert new_tower(NARROW_2_5, FUSED).state_dict().keys() == weights_of(NARROW_2_5).keys()


def load(tower: nn.Module) -> nn.Module:
    """Other weights into the tower's own tensors."""
    tower.load_state_dict(random_weights(NARROW_2_5, seed=1))
    return tower


def adopt_others(tower: nn.Module) -> nn.Module:
    return adopt(tower, random_weights(NARROW_2_5, seed=1))


def write_in_place(tower: nn.Module) -> nn.Module:
    """As an optimizer's step writes."""
    with torch.no_grad():
        for mlp in gated(tower):
            mlp.gate_proj.weight.mul_(1.5)
            mlp.up_proj.bias.add_(0.25)
    return tower


def write_past_autograd(tower: nn.Module) -> nn.Module:
    """As loaders of serving stacks write, which no version counter sees."""
    for mlp in gated(tower):
        mlp.up_proj.weight.data.copy_(mlp.gate_proj.weight.data * 0.5)
        mlp.gate_proj.bias.data[:3] = 2.0
    return tower


def swap(tower: nn.Module) -> nn.Module:
    for mlp in gated(tower):
        mlp.gate_proj.weight = nn.Parameter(mlp.gate_proj.weight.detach() * 0.5, requires_grad=False)
        mlp.up_proj.bias.data = mlp.up_proj.bias.data + 1
    return tower


def gated(tower: nn.Module) -> list[GatedMLP]:
    return [module for module in tower.modules() if isinstance(module, GatedMLP)]


CHANGES = [
    load,
    adopt_others,
    write_in_place,
    write_past_autograd,
    swap,
    lambda tower: tower.bfloat16(),
    lambda tower: tower.double(),
]


@pytest.mark.parametrize("change", CHANGES)
def test_the_joined_weights_follow_the_tower(change: Callable[[nn.Module], nn.Module]) -> None:
    def own_weights() -> SharedTensors:
        return SharedTensors(copy.deepcopy(dict(weights_of(NARROW_2_5))))

    fused, plain = build_tower(NARROW_2_5, [FUSED], own_weights()), build_tower(NARROW_2_5, [], own_weights())
    before = run(fused, NARROW_2_5, MIXED)  # what is joined by then has to follow
    fused, plain = change(fused), change(plain)
    assert not torch.equal(run(fused, NARROW_2_5, MIXED), before)
    half = next(fused.parameters()).dtype == torch.bfloat16
    assert relative_error(run(fused, NARROW_2_5, MIXED), run(plain, NARROW_2_5, MIXED)) < (2e-2 if half else 1e-5)
    for mlp, (weight, bias) in zip(mlps(fused), joined(fused), strict=True):
        assert weight.dtype == bias.dtype == next(fused.parameters()).dtype
        assert torch.equal(weight, torch.cat((mlp.gate_proj.weight, mlp.up_proj.weight)))
        assert torch.equal(bias, torch.cat((mlp.gate_proj.bias, mlp.up_proj.bias)))


def test_fused_is_gated_in_fp64() -> None:
    generator = torch.Generator().manual_seed(0)
    plain, fused = GatedMLP(NARROW_2_5).double(), FusedGatedMLP(NARROW_2_5).double()
    fused.load_state_dict(plain.state_dict())
    x = torch.randn(7, 80, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(fused(x), plain(x))


@pytest.mark.parametrize("built_in_inference_mode", [False, True])
def test_weights_are_joined_in_and_out_of_inference_mode(built_in_inference_mode: bool) -> None:
    with torch.inference_mode(built_in_inference_mode):
        fused, plain = FusedGatedMLP(NARROW_2_5), GatedMLP(NARROW_2_5)
        fused.load_state_dict(plain.state_dict())
    x = torch.randn(7, 80)
    with torch.inference_mode():
        torch.testing.assert_close(fused(x), plain(x))
        for mlp in (fused, plain):
            mlp.gate_proj.weight.mul_(2)
        torch.testing.assert_close(fused(x), plain(x))
        assert fused.joined is not None
        assert fused.joined[0].data_ptr() == fused.gate_proj.weight.data_ptr()
