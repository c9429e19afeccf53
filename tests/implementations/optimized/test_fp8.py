"""Operands of fp8: as near as three bits of mantissa are, and nothing else is rounded."""

from __future__ import annotations

import pytest
import torch

from tests.implementations.grids import MIXED
from tests.implementations.optimized.exactness import NEEDS_CUDA, device_kind, why_not
from tests.implementations.towers import NARROW, expected, name_of, relative_error, run, weights_of
from vlbench.implementations import build_tower
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.optimized import OPTIMIZATIONS, Exactness, with_requirements
from vlbench.implementations.optimized.fp8 import rounded
from vlbench.trial.stage_results import errors_by_stage


@pytest.mark.parametrize("by_row", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_largest_is_kept_and_each_is_within_half_a_last_place(dtype: torch.dtype, by_row: bool) -> None:
    x = torch.randn(64, 32, generator=torch.Generator().manual_seed(0)).to(dtype)
    x[3] *= 1e4
    x[5] = 0
    found = rounded(x, by_row=by_row)
    assert found.dtype is dtype
    assert torch.equal(found[5], x[5])
    largest = x.abs().amax(-1, keepdim=True) if by_row else x.abs().amax().view(1, 1)
    is_largest = x.abs() == largest
    torch.testing.assert_close(found[is_largest], x[is_largest])
    off = (found.double() - x.double()).abs()
    smallest_normal = largest.double() / 448 * 2**-6
    assert bool((off <= torch.maximum(x.double().abs() * 2**-4, smallest_normal * 2**-4) * 1.01 + 1e-30).all())
    assert len(found[0].unique()) < len(x[0].unique())


@pytest.mark.parametrize("config", NARROW, ids=name_of)
@pytest.mark.parametrize("flag", ["fp8-linear", "fp8-attention"])
def test_a_tower_is_off_by_a_few_hundredths(flag: str, config: VisionConfig) -> None:
    found = run(build_tower(config, (flag,), weights_of(config)), config, MIXED)
    assert 0.003 < relative_error(found, expected(config, MIXED)) < 0.3


def test_joined_and_widened_weights_are_rounded_as_each_is_by_itself() -> None:
    config = NARROW[1]
    one, other = (
        run(build_tower(config, ("fp8-linear", *more), weights_of(config)), config, MIXED)
        for more in ((), ("fused-gate-up", "mlp-pad"))
    )
    assert relative_error(one, other) < 1e-5


@pytest.mark.parametrize("config", NARROW, ids=name_of)
def test_beside_a_bit_exact_flag_the_same_linears_are_rounded(config: VisionConfig) -> None:
    """One that writes into memory of its caller is a linear as well."""
    base = run(build_tower(config, ("fp8-linear",), weights_of(config)), config, MIXED)
    beside = 0
    for flag, known in OPTIMIZATIONS.items():
        flags = with_requirements([flag]) | {"fp8-linear"}
        if known.exactness is not Exactness.BIT_EXACT or not known.seam.in_tower or NEEDS_CUDA & flags:
            continue
        if why_not(flags, config) or any(OPTIMIZATIONS[one].exactness is Exactness.REASSOCIATED for one in flags):
            continue
        beside += 1
        tower = build_tower(config, flags, weights_of(config), device_kind(flags, config))
        assert torch.equal(run(tower, config, MIXED), base), flag
    assert beside > 10


def test_by_stage_the_error_begins_where_operands_are_rounded() -> None:
    for flag, first in (("fp8-linear", "block[0].attention"), ("fp8-attention", "block[0].attention")):
        found = errors_by_stage(OPTIMIZATIONS[flag])
        stages = list(found)
        assert stages[0] == "patch_embed"
        assert stages[-1] == "merger"
        assert found["patch_embed"][0] == found["patch_embed"][1] < 0.01
        error, own = found[first]
        assert error > 1.5 * own
        assert all(0 < own < 0.1 for _, own in found.values())
