"""Right and wrong towers in fp32: real ones, and toys."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import cache

import pytest
import torch
from torch import Tensor, nn

from tests.implementations.towers import TINY, weights_of
from tests.implementations.wrong_towers import WRONG_TOWERS
from tests.trial.accuracy_toys import Forward, InCall, Tower, check, fresh, never, right, scaled
from vlbench.implementations import build_tower
from vlbench.implementations.weights import random_weights
from vlbench.record.precision import precisions, tf32_turned_off
from vlbench.trial.accuracy import Input, Judge, awkward_inputs

QWEN2_5 = TINY[1]
NEAT = ((1, 16, 16),)


def inputs(dtype: torch.dtype) -> list[Input]:
    """A neat image, and the awkward batch that every trial adds."""
    pixels = torch.randn(256, QWEN2_5.patch_dim, generator=torch.Generator().manual_seed(1))
    neat = Input(pixels, torch.tensor(NEAT))
    return [entry.to(dtype) for entry in (neat, *awkward_inputs(QWEN2_5.preprocessing, torch.device("cpu"), 0))]


@cache
def judge(dtype: torch.dtype) -> Judge:
    golden = build_tower(QWEN2_5, None, weights_of(QWEN2_5))
    reference_tower = golden if dtype is torch.float32 else build_tower(QWEN2_5, None, weights_of(QWEN2_5, dtype))
    return Judge(inputs(dtype), dtype, golden, reference_tower)


@pytest.mark.parametrize("mistake", WRONG_TOWERS)
def test_a_wrong_tower_fails(mistake: str) -> None:
    verdict = judge(torch.float32).check("reassociated", lambda: WRONG_TOWERS[mistake](QWEN2_5, weights), never)
    assert not verdict.passed
    assert verdict.fp32_error is not None
    assert verdict.fp32_error > 20 * verdict.fp32_limit
    assert verdict.reason
    assert verdict.worst_token


weights = weights_of(QWEN2_5)


@pytest.mark.parametrize(
    ("flags", "exactness"),
    [
        (None, "bit-exact"),
        ((), "bit-exact"),
        (("rope-cache", "no-einops", "host-grid"), "bit-exact"),
        (("rope-table",), "ulp"),
        (("window-sort", "host-seqlens", "batched-windows"), "reassociated"),
    ],
    ids=str,
)
def test_a_right_tower_passes(flags: Iterable[str] | None, exactness: str) -> None:
    verdict = judge(torch.float32).check(exactness, lambda: build_tower(QWEN2_5, flags, weights), never)
    assert (verdict.passed, verdict.reason) == (True, None)
    assert verdict.timed_error is None


def test_a_right_tower_passes_in_bf16_and_a_wrong_one_fails_there_as_well() -> None:
    # As a trial does it, the exact tower has the weights that the timed one has, rounded to bf16.
    rounded = random_weights(QWEN2_5, dtype=torch.bfloat16)
    exact = type(rounded)({key: tensor.float() for key, tensor in rounded.items()})
    golden, reference_tower = build_tower(QWEN2_5, None, exact), build_tower(QWEN2_5, None, rounded)
    in_bf16 = Judge(inputs(torch.bfloat16), torch.bfloat16, golden, reference_tower)
    flags = ("rope-cache", "no-einops")
    right = in_bf16.check(
        "bit-exact", lambda: build_tower(QWEN2_5, flags, exact), lambda: build_tower(QWEN2_5, flags, rounded)
    )
    assert right.passed
    assert right.timed_error is not None
    assert right.timed_limit is not None
    assert 0 < right.timed_error <= right.timed_limit
    # Right in fp32 and wrong where it is timed: a kernel of its own for bf16.
    wrong = in_bf16.check(
        "bit-exact", lambda: build_tower(QWEN2_5, flags, exact), lambda: WRONG_TOWERS["no rope"](QWEN2_5, rounded)
    )
    assert not wrong.passed
    assert wrong.reason
    assert "in bfloat16 is above" in wrong.reason
    # What changes results by design has no limit there either, and its error is told.
    rows = {
        exactness: in_bf16.check(
            exactness, lambda: build_tower(QWEN2_5, FP8, exact), lambda: build_tower(QWEN2_5, FP8, rounded)
        )
        for exactness in ("result-changing", "reassociated")
    }
    assert (rows["result-changing"].passed, rows["reassociated"].passed) == (True, False)
    assert rows["result-changing"].timed_limit == math.inf == in_bf16.allowed("result-changing", 1)["tokens"]
    assert (rows["result-changing"].timed_error or 0) > right.timed_limit


FP8 = ("fp8-linear",)


@pytest.mark.parametrize(
    ("exactness", "off", "passes"),
    [
        ("bit-exact", 0.0, True),
        ("bit-exact", 1e-6, False),
        ("ulp", 0.9e-5, True),
        ("ulp", 1.1e-5, False),
        ("reassociated", 0.9e-5, True),
        ("reassociated", 1.1e-5, False),
    ],
)
def test_each_class_has_its_limit_in_fp32(exactness: str, off: float, passes: bool) -> None:
    verdict = check(scaled(1 + off), exactness)
    assert verdict.passed is passes
    assert (verdict.reason is None) is passes
    assert verdict.fp32_error == pytest.approx(off, abs=2e-7)


def test_the_last_bit_of_one_value_is_seen() -> None:
    def one_bit(output: Tensor) -> Tensor:
        output[3, 5] = torch.nextafter(output[3, 5], torch.tensor(9.0))
        return output

    assert not check(InCall(2, one_bit)).passed
    assert check(InCall(2, one_bit), "ulp").passed


@pytest.mark.parametrize("wrong_call", [1, 2, 3, 4])
def test_a_mistake_in_any_call_is_seen(wrong_call: int) -> None:
    """Both inputs come twice, so a cache that is stale when it is hit is seen in calls 3 and 4."""
    verdict = check(InCall(wrong_call, lambda output: output * 2), "reassociated")
    assert not verdict.passed
    assert verdict.fp32_error == pytest.approx(1.0)


def test_a_cache_with_too_small_a_key_is_seen() -> None:
    kept: dict[int, Tensor] = {}
    verdict = check(lambda pixels, grid_thw: kept.setdefault(pixels.shape[1], right(pixels, grid_thw)))
    assert not verdict.passed


def test_what_a_tower_raises_is_its_result() -> None:
    def broken(pixels: Tensor, grid_thw: Tensor) -> Tensor:
        raise RuntimeError("first line\nsecond line")

    verdict = check(broken)
    assert not verdict.passed
    assert verdict.reason == "raised RuntimeError: first line"
    assert verdict.fp32_error is None


def test_a_tower_that_cannot_be_built_fails() -> None:
    verdict = fresh().check("ulp", never, never)
    assert not verdict.passed
    assert verdict.reason
    assert verdict.reason.startswith("raised AssertionError: ")


@pytest.mark.parametrize("wrong_call", [1, 2, 3, 4])
def test_nan_fails_and_its_token_is_named(wrong_call: int) -> None:
    def one_nan(output: Tensor) -> Tensor:
        output[7, 0] = float("nan")
        return output

    verdict = check(InCall(wrong_call, one_nan), "reassociated")
    assert not verdict.passed
    assert verdict.reason
    assert "nan" in verdict.reason
    assert verdict.worst_token
    token = verdict.worst_token
    wanted = (0, 1, 0, 1) if wrong_call % 2 else (0, 0, 1, 3)
    assert (token.item, token.frame, token.row, token.column) == wanted


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_nothing_but_infinity_or_nan_fails(value: float) -> None:
    assert not check(lambda pixels, grid_thw: torch.full_like(right(pixels, grid_thw), value), "ulp").passed


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda output: output[:-1], "the output has shape [15, 8] instead of [16, 8]"),
        (lambda output: output[None], "the output has shape [1, 16, 8] instead of [16, 8]"),
        (lambda output: output[:1], "the output has shape [1, 8] instead of [16, 8]"),
        (lambda output: nn.Parameter(output), "the output is a Parameter, not a plain tensor"),
        (lambda output: (output,), "the output is a tuple, not a plain tensor"),
        (lambda output: None, "the output is a NoneType, not a plain tensor"),
    ],
)
def test_an_output_of_another_kind_fails(mistake: Callable[[Tensor], Tensor], words: str) -> None:
    verdict = check(InCall(1, mistake), "reassociated")
    assert not verdict.passed
    assert verdict.reason
    assert words in verdict.reason


class Lazy(Tensor):
    """A tensor that could put off its work until the clock has stopped."""


def test_a_tensor_subclass_fails_although_its_values_are_right() -> None:
    verdict = check(lambda pixels, grid_thw: right(pixels, grid_thw).as_subclass(Lazy))
    assert not verdict.passed
    assert verdict.reason
    assert "Lazy" in verdict.reason


def into_one_buffer(function: Forward) -> Forward:
    """Every output in the same memory, which the next call overwrites."""
    buffer = torch.empty(16, 8)

    def forward(pixels: Tensor, grid_thw: Tensor) -> Tensor:
        return buffer.copy_(function(pixels, grid_thw))

    return forward


def test_a_buffer_of_its_own_is_judged_by_what_each_call_gave() -> None:
    assert check(into_one_buffer(right)).passed
    # The last call overwrites the wrong output with a right one, and the first wrong one must not be forgotten.
    assert not check(into_one_buffer(InCall(1, lambda output: output * 2))).passed


def test_a_tower_that_writes_into_its_input_spoils_no_other() -> None:
    def doubles(pixels: Tensor, grid_thw: Tensor) -> Tensor:
        return right(pixels.mul_(2), grid_thw)

    shared = fresh()
    assert not shared.check("bit-exact", lambda: Tower(doubles), never).passed
    assert shared.check("bit-exact", lambda: Tower(right), never).passed


def test_reference_runs_are_in_ieee_fp32_whatever_a_package_has_set() -> None:
    seen: list[set[str]] = []

    def noting(pixels: Tensor, grid_thw: Tensor) -> Tensor:
        seen.append(set(precisions().values()))
        return right(pixels, grid_thw)

    with tf32_turned_off():
        torch.backends.fp32_precision = "tf32"
        torch.backends.cudnn.conv.fp32_precision = "tf32"  # type: ignore[attr-defined]
        fresh(noting)
    assert seen == [{"ieee"}, {"ieee"}]
