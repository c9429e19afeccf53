"""In the timed dtype: at most 1.5 times the reference tower's own error, here 0.01."""

from __future__ import annotations

import pytest
import torch

from tests.trial.accuracy_toys import Forward, InCall, Tower, fresh, never, right, scaled
from vlbench.record.exactness import Accuracy


def check_timed(function: Forward) -> Accuracy:
    judge = fresh(dtype=torch.bfloat16, own=scaled(1.01))
    return judge.check("bit-exact", lambda: Tower(right), lambda: Tower(function))


@pytest.mark.parametrize(
    ("off", "passes"), [(0.0, True), (0.014, True), (-0.014, True), (0.016, False), (-0.016, False)]
)
def test_the_timed_dtype_is_allowed_one_and_a_half_times_the_reference_towers_error(off: float, passes: bool) -> None:
    verdict = check_timed(scaled(1 + off))
    assert verdict.passed is passes
    assert verdict.fp32_error == 0
    assert verdict.timed_error == pytest.approx(abs(off), rel=1e-3)
    assert verdict.timed_limit == pytest.approx(0.015, rel=1e-3)
    assert (verdict.reason is None) is passes


@pytest.mark.parametrize("wrong_call", [1, 2])
def test_the_timed_dtype_is_judged_on_every_input(wrong_call: int) -> None:
    verdict = check_timed(InCall(wrong_call, lambda output: output * 1.016))
    assert not verdict.passed
    assert verdict.timed_error == pytest.approx(0.016, rel=1e-3)


@pytest.mark.parametrize("wrong_call", [1, 2])
def test_nan_in_the_timed_dtype_fails(wrong_call: int) -> None:
    assert not check_timed(InCall(wrong_call, lambda output: output * float("nan"))).passed


@pytest.mark.parametrize("wrong_call", [3, 4])
def test_a_cache_that_is_stale_when_it_is_hit_is_seen_in_the_timed_dtype(wrong_call: int) -> None:
    assert not check_timed(InCall(wrong_call, lambda output: output * 2)).passed


def test_another_shape_in_the_timed_dtype_fails() -> None:
    assert not check_timed(lambda pixels, grid_thw: right(pixels, grid_thw)[None]).passed


def test_a_tower_is_not_built_for_the_timed_dtype_when_fp32_has_failed_already() -> None:
    judge = fresh(dtype=torch.bfloat16, own=scaled(1.01))
    verdict = judge.check("bit-exact", lambda: Tower(scaled(2.0)), never)
    assert verdict.reason == "not bit-exact in fp32: error 1"
