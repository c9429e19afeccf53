"""cos and sin are rounded, never their angles; q and k are rotated as they are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.implementations.grids import MIXED
from tests.implementations.optimized.plans import plan_of, tower_for
from tests.implementations.towers import (
    NARROW,
    NARROW_2,
    expected,
    name_of,
    reference_tower,
    relative_error,
    run,
    weights_of,
)
from vlbench.implementations import build_tower
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.optimized.kernels.rotation import turn
from vlbench.implementations.optimized.layout import WithViews
from vlbench.implementations.optimized.rope import CosSin
from vlbench.implementations.optimized.rope_precision import in_the_models_dtype
from vlbench.implementations.optimized.rotary import rotate

BF16 = torch.bfloat16


def test_cos_and_sin_of_exact_angles_are_off_by_a_rounding() -> None:
    plan = plan_of(tower_for(NARROW_2), ((1, 2, 512),))
    exact, low = plan.rope.cos_sin(), in_the_models_dtype(plan, BF16).rope
    assert isinstance(low, CosSin)
    for wide, narrow in ((exact.cos, low.cos), (exact.sin, low.sin)):
        assert narrow.dtype is BF16
        assert float((wide - narrow.float()).abs().max()) <= 2**-9
    rotated = rotate(torch.ones(1024, 1, 80, dtype=BF16), low, WithViews())
    assert rotated.dtype is BF16
    exactly = rotate(torch.ones(1024, 1, 80), exact, WithViews())
    assert 1e-4 < relative_error(rotated, exactly) < 0.01


@pytest.mark.parametrize("config", NARROW, ids=name_of)
@pytest.mark.parametrize("more", [(), ("rope-cache",), ("rope-packed",)], ids=str)
def test_a_tower_in_bf16_stays_near_and_in_fp32_it_keeps_its_bits(config: VisionConfig, more: tuple[str, ...]) -> None:
    flags = ("rope-lowp", *more)
    wide = build_tower(config, flags, weights_of(config))
    assert torch.equal(run(wide, config, MIXED), expected(config, MIXED))
    low = run(build_tower(config, flags, weights_of(config, BF16)), config, MIXED)
    own = run(reference_tower(config, BF16), config, MIXED)
    assert not torch.equal(low, own)
    assert relative_error(low, expected(config, MIXED)) < 3 * relative_error(own, expected(config, MIXED))


def test_the_twin_of_the_kernel_rotates_in_fp32_as_the_kernel_does() -> None:
    """Whatever cos and sin were rounded to."""
    qkv = torch.randn(16, 3 * 80, generator=torch.Generator().manual_seed(0)).to(BF16)
    low = in_the_models_dtype(plan_of(tower_for(NARROW_2), ((1, 4, 4),)), BF16).rope.cos_sin()
    wanted = rotate(qkv[:, :160].view(16, 2, 80).float(), low.map(Tensor.float), WithViews()).to(BF16)
    turn(qkv, low.cos, low.sin, 1)
    assert torch.equal(qkv[:, :160].view(16, 2, 80), wanted)


def test_a_plan_is_not_changed() -> None:
    plan = plan_of(tower_for(NARROW_2, "rope-cache"), MIXED)
    assert replace(in_the_models_dtype(plan, BF16), rope=plan.rope) == plan
    assert plan.rope.cos_sin().cos.dtype is torch.float32
