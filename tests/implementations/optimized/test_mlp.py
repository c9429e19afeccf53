from __future__ import annotations

import copy
from collections.abc import Callable
from io import BytesIO

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.implementations.grids import MIXED
from tests.implementations.optimized.plans import new_tower
from tests.implementations.towers import NARROW_2_5, relative_error, run, weights_of
from vlbench.implementations import build_tower
from vlbench.implementations.config import MODELS
from vlbench.implementations.optimized.mlp import FusedGatedMLP, GatedMLP
from vlbench.implementations.optimized.wide import Widened
from vlbench.implementations.weights import SharedTensors, adopt, random_weights
from vlbench.trial.identity import digest_of_weights

FUSED, PADDED = "fused-gate-up", "mlp-pad"
WIDTH, WIDE = NARROW_2_5.intermediate_size, 216
every_form = pytest.mark.parametrize("flags", [(FUSED,), (PADDED,), (FUSED, PADDED)], ids="+".join)


def widened(tower: nn.Module) -> list[Widened]:
    return [module for module in tower.modules() if isinstance(module, Widened)]


def wholes(tower: nn.Module) -> list[Tensor]:
    """What the MLPs multiply with."""
    return [whole.tensor for module in widened(tower) for whole, _ in module.wholes() if whole.tensor is not None]


def gated(tower: nn.Module) -> list[GatedMLP]:
    return [module for module in tower.modules() if isinstance(module, GatedMLP)]


@every_form
def test_two_towers_use_the_same_weights(flags: tuple[str, ...]) -> None:
    first, second = new_tower(NARROW_2_5, *flags), new_tower(NARROW_2_5, *flags, "host-grid")
    run(first, NARROW_2_5, MIXED)
    run(second, NARROW_2_5, MIXED)
    assert all(ours is theirs for ours, theirs in zip(wholes(first), wholes(second), strict=True))
    each_mlp = {(FUSED,): 2, (PADDED,): 6, (FUSED, PADDED): 4}[flags]  # weights and biases
    assert len({ours.data_ptr() for ours in wholes(first)}) == each_mlp * NARROW_2_5.depth


def test_towers_of_other_weights_do_not() -> None:
    first, second = new_tower(NARROW_2_5, FUSED), build_tower(NARROW_2_5, [FUSED], random_weights(NARROW_2_5, seed=1))
    assert wholes(first)[0] is not wholes(second)[0]


@every_form
def test_the_state_dict_is_that_of_the_checkpoint(flags: tuple[str, ...]) -> None:
    tower = build_tower(NARROW_2_5, flags, own_weights())
    run(tower, NARROW_2_5, MIXED)
    kept, wanted, file = tower.state_dict(), weights_of(NARROW_2_5), BytesIO()
    assert kept.keys() == wanted.keys()
    assert all(torch.equal(kept[key], wanted[key]) for key in wanted)
    assert digest_of_weights(kept) == digest_of_weights(wanted)
    torch.save(kept, file)
    file.seek(0)
    again = build_tower(NARROW_2_5, flags, SharedTensors(torch.load(file)))
    assert torch.equal(run(again, NARROW_2_5, MIXED), run(tower, NARROW_2_5, MIXED))


@every_form
def test_nothing_is_kept_twice(flags: tuple[str, ...]) -> None:
    """All that a tower alone holds on to: its weights, and of a padded one the zeros."""
    tower = build_tower(NARROW_2_5, flags, own_weights())
    run(tower, NARROW_2_5, MIXED)
    held = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tower.parameters()}
    held |= {whole.untyped_storage().data_ptr(): whole.untyped_storage().nbytes() for whole in wholes(tower)}
    zeros = 4 * NARROW_2_5.depth * (WIDE - WIDTH) * (3 * NARROW_2_5.hidden_size + 2) if PADDED in flags else 0
    assert sum(held.values()) == sum(tensor.nbytes for tensor in weights_of(NARROW_2_5).values()) + zeros


@every_form
def test_products_are_as_wide_as_the_flags_say(flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []
    mlp, multiply = gated(new_tower(NARROW_2_5, *flags))[0], F.linear

    def seen(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        assert weight.is_contiguous()
        shapes.append(tuple(weight.shape))
        return multiply(x, weight, bias)

    monkeypatch.setattr(F, "linear", seen)
    with torch.no_grad():
        assert mlp(torch.randn(7, 80)).shape == (7, 80)
    width = WIDE if PADDED in flags else WIDTH
    assert shapes == [*([(2 * width, 80)] if FUSED in flags else [(width, 80)] * 2), (80, width)]


def test_what_is_padded_is_zero_whatever_is_loaded() -> None:
    tower = load(build_tower(NARROW_2_5, [FUSED, PADDED], own_weights()))
    run(tower, NARROW_2_5, MIXED)
    for mlp in gated(tower):
        assert isinstance(mlp, FusedGatedMLP)
        weight, bias = mlp.tensors()
        down, _ = mlp.down_proj.tensors()  # type: ignore[operator]
        for whole in (*weight.chunk(2), *bias.chunk(2), down.t()):
            assert whole.shape[0] == WIDE
            assert not whole[WIDTH:].any()
            assert whole[:WIDTH].any()


def test_the_widths_of_released_models() -> None:
    assert {name: size.intermediate_size % 8 for name, size in MODELS.items() if "2.5" in name} == {
        "qwen2.5-vl-3b": 4,
        "qwen2.5-vl-7b": 4,
        "qwen2.5-vl-32b": 0,
        "qwen2.5-vl-72b": 0,
        "qwen2.5-vl-tiny": 4,
    }


def own_weights() -> SharedTensors:
    return SharedTensors(copy.deepcopy(dict(weights_of(NARROW_2_5))))


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
            mlp.down_proj.weight.mul_(0.5)
    return tower


def write_past_autograd(tower: nn.Module) -> nn.Module:
    """As loaders of serving stacks write, which no version counter sees."""
    for mlp in gated(tower):
        mlp.up_proj.weight.data.copy_(mlp.gate_proj.weight.data * 0.5)
        mlp.gate_proj.bias.data[:3] = 2.0
        mlp.down_proj.weight.data[:, :3] = 2.0
    return tower


def swap(tower: nn.Module) -> nn.Module:
    for mlp in gated(tower):
        mlp.gate_proj.weight = nn.Parameter(mlp.gate_proj.weight.detach() * 0.5, requires_grad=False)
        mlp.up_proj.bias.data = mlp.up_proj.bias.data + 1
        mlp.down_proj.weight = nn.Parameter(mlp.down_proj.weight.detach() * 0.5, requires_grad=False)
    return tower


CHANGES = [
    load,
    adopt_others,
    write_in_place,
    write_past_autograd,
    swap,
    copy.deepcopy,
    lambda tower: tower.bfloat16(),
    lambda tower: tower.double(),
]


@every_form
@pytest.mark.parametrize("change", CHANGES)
def test_what_is_multiplied_with_follows_the_tower(
    change: Callable[[nn.Module], nn.Module], flags: tuple[str, ...]
) -> None:
    tower, plain = build_tower(NARROW_2_5, flags, own_weights()), build_tower(NARROW_2_5, [], own_weights())
    before = run(tower, NARROW_2_5, MIXED)  # what is joined by then has to follow
    tower, plain = change(tower), change(plain)
    assert torch.equal(run(tower, NARROW_2_5, MIXED), before) == (change is copy.deepcopy)
    half = next(tower.parameters()).dtype == torch.bfloat16
    assert relative_error(run(tower, NARROW_2_5, MIXED), run(plain, NARROW_2_5, MIXED)) < (2e-2 if half else 1e-5)
    assert {whole.dtype for whole in wholes(tower)} == {next(tower.parameters()).dtype}
    ours, theirs = tower.state_dict(), plain.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("width", [None, WIDE])
def test_fused_is_gated_in_fp64(width: int | None) -> None:
    generator = torch.Generator().manual_seed(0)
    plain, fused = GatedMLP(NARROW_2_5).double(), FusedGatedMLP(NARROW_2_5, width).double()
    fused.load_state_dict(plain.state_dict())
    x = torch.randn(7, 80, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(fused(x), plain(x))


@pytest.mark.parametrize("built_in_inference_mode", [False, True])
def test_weights_are_joined_in_and_out_of_inference_mode(built_in_inference_mode: bool) -> None:
    with torch.inference_mode(built_in_inference_mode):
        fused, plain = FusedGatedMLP(NARROW_2_5, WIDE), GatedMLP(NARROW_2_5)
        fused.load_state_dict(plain.state_dict())
    x = torch.randn(7, 80)
    with torch.inference_mode():
        torch.testing.assert_close(fused(x), plain(x))
        for mlp in (fused, plain):
            mlp.gate_proj.weight.mul_(2)
        torch.testing.assert_close(fused(x), plain(x))
        assert fused.joined[0].tensor is not None
        assert fused.joined[0].tensor.data_ptr() == fused.gate_proj.weight.data_ptr()
