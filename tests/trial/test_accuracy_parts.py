"""Each part of an output is judged by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.trial.accuracy_toys import Tower, fresh, never, right
from vlbench.implementations.output import VisionOutput
from vlbench.record.exactness import Accuracy
from vlbench.trial.accuracy import Input, Judge


def in_parts(small: float, **others: Any) -> Callable[[Tensor, Tensor], Any]:
    """A large part, a small one, and some more."""

    def forward(pixels: Tensor, grid_thw: Tensor) -> VisionOutput:
        tokens = right(pixels, grid_thw)
        return VisionOutput(tokens, {"small": tokens * small, "places": torch.arange(len(tokens)), **others})

    return forward


def check_parts(function: Callable[[Tensor, Tensor], Any]) -> Accuracy:
    return fresh(in_parts(1e-6), own=in_parts(1e-6)).check("reassociated", lambda: Tower(function), never)


def test_parts_that_are_right_pass() -> None:
    verdict = check_parts(in_parts(1e-6))
    assert (verdict.passed, verdict.fp32_error, verdict.reason) == (True, 0, None)


def test_a_large_part_does_not_hide_a_small_one() -> None:
    """Together, they would be off by 1e-7."""
    verdict = check_parts(in_parts(1.1e-6))
    assert not verdict.passed
    assert verdict.part == "small"
    assert verdict.fp32_error == pytest.approx(0.1, rel=1e-5)
    assert verdict.reason == "part 'small' of the output: error 0.1 in fp32 is above 1e-05"


def test_a_part_of_another_shape_is_named() -> None:
    verdict = check_parts(in_parts(1.1e-6, places=torch.tensor(0)))
    assert verdict.reason == "part 'places' of the output has shape [] instead of [16]"


def test_whole_numbers_are_right_or_wrong() -> None:
    """Of many places, one that is off by one would be too small an error to see."""

    def off_by_one(pixels: Tensor, grid_thw: Tensor) -> Any:
        output = in_parts(1.1e-6)(pixels, grid_thw)
        output.parts["places"][-1] += 1
        return output

    verdict = check_parts(off_by_one)
    assert (verdict.passed, verdict.part) == (False, "places")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda output: output.tokens, "the output lacks the part 'small'"),
        (
            lambda output: VisionOutput(output.tokens, {**output.parts, "more": output.tokens}),
            "the output has a part 'more' too many",
        ),
        (
            lambda output: VisionOutput(output.tokens, {**output.parts, "small": [1]}),
            "part 'small' of the output is a list, not a plain tensor",
        ),
        (
            lambda output: VisionOutput(output.tokens, {**output.parts, "small": nn.Parameter(output.tokens)}),
            "part 'small' of the output is a Parameter, not a plain tensor",
        ),
        (lambda output: (output.tokens, output.parts["small"]), "the output is a tuple, not a plain tensor"),
        (
            lambda output: VisionOutput(output.tokens, {"tokens": output.tokens}),
            "the output has parts that are not tensors by names other than 'tokens'",
        ),
        (
            lambda output: VisionOutput(output.tokens, [output.tokens]),
            "the output has parts that are not tensors by names other than 'tokens'",
        ),
    ],
)
def test_other_parts_fail_in_one_sentence(change: Callable[[Any], Any], reason: str) -> None:
    verdict = check_parts(lambda pixels, grid_thw: change(in_parts(1e-6)(pixels, grid_thw)))
    assert not verdict.passed
    assert verdict.reason is not None
    assert verdict.reason.startswith(reason)
    assert "\n" not in verdict.reason


def test_in_the_timed_dtype_each_part_has_a_limit_of_its_own() -> None:
    """The small part of the reference tower is off by 1 %, its tokens are exact."""
    judge = fresh(in_parts(1e-6), torch.bfloat16, own=in_parts(1.01e-6))
    exact = in_parts(1e-6)
    assert judge.check("bit-exact", lambda: Tower(exact), lambda: Tower(in_parts(1.014e-6))).passed
    wrong = judge.check("bit-exact", lambda: Tower(exact), lambda: Tower(in_parts(1.016e-6)))
    assert (wrong.passed, wrong.part) == (False, "small")
    assert wrong.reason == "part 'small' of the output: error 0.016 in bfloat16 is above 0.015"
    assert judge.allowed("bit-exact", timed=1) == pytest.approx({"tokens": 0, "small": 0.03, "places": 0}, rel=1e-3)


def test_a_part_of_zeros_is_right_where_it_is_zeros() -> None:
    def parts(pixels: Tensor, grid_thw: Tensor) -> VisionOutput:
        return VisionOutput(pixels[::4], {"zeros": pixels.new_zeros(7, 3), "none": pixels.new_zeros(0, 3)})

    judge = Judge([Input(torch.randn(8, 4).bfloat16(), torch.tensor([[1, 2, 4]]))], torch.bfloat16, parts, parts)
    assert judge.check("bit-exact", lambda: parts, lambda: parts).passed


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex64])
def test_another_dtype_is_wrong_however_near_its_values_are(dtype: torch.dtype) -> None:
    judge = Judge([Input(torch.randn(8, 4), torch.tensor([[1, 2, 4]]))], torch.float32, quarter, quarter)
    found = judge.check("reassociated", lambda: as_dtype(dtype), lambda: as_dtype(dtype))
    assert not found.passed
    assert found.reason is not None
    assert f"is of {dtype} instead of torch.float32".replace("torch.", "") in found.reason


def quarter(pixels: Tensor, grid_thw: Tensor) -> Tensor:
    return pixels[::4]


def as_dtype(dtype: torch.dtype) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda pixels, grid_thw: pixels[::4].to(dtype)
