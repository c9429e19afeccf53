"""Outputs below fp32: further off than the stored ones is wrong, other bits may be rougher, equal bits are neither."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from vlbench.record.outputs import StoredCall, StoredOutputs, StoredPart
from vlbench.trial.rougher import rougher
from vlbench.trial.sketch import sketch
from vlbench.trial.small_calls import CELLS, IMAGES, exact_of

EXACT = torch.randn(8, 64, generator=torch.Generator().manual_seed(1))


def off_by(error: float, seed: int = 2) -> Tensor:
    return EXACT + error * torch.randn(8, 64, generator=torch.Generator().manual_seed(seed))


def of(rounded: Tensor, exact: Tensor | None = EXACT) -> StoredOutputs:
    """A call in each place; `exact` is None where fp32 raised."""

    def call(number: int, dtype: str) -> StoredCall:
        value = exact if dtype == "float32" else rounded
        if value is None:
            return StoredCall(name=f"{number} {dtype}", raised="cannot")
        part = StoredPart(name="tokens", form="[8, 64]", sketch=sketch(value))
        return StoredCall(name=f"{number} {dtype}", parts=(part,))

    calls = tuple(call(number, dtype) for number, (_, _, dtype) in enumerate(CELLS))
    return StoredOutputs(tower="toy:Tower", names="", weights="", calls=calls)


STORED = of(off_by(0.01))


def test_equal_bits_are_neither_wrong_nor_rougher() -> None:
    assert rougher(STORED, of(off_by(0.01)), "bfloat16") == ("", "")


@pytest.mark.parametrize("error", [0.001, 0.01, 0.012])
def test_other_bits_no_further_off_may_be_rougher(error: float) -> None:
    wrong, moved = rougher(STORED, of(off_by(error, seed=3)), "bfloat16")
    assert not wrong
    assert moved.startswith("its result in bfloat16 is not bit for bit the stored one: its tokens moved by")
    told = float(moved.partition("moved by ")[2].split()[0])
    assert told == pytest.approx(math.hypot(0.01, error), rel=0.3)  # of 32 projections


@pytest.mark.parametrize("error", [0.03, float("nan"), float("inf")])
def test_further_off_than_the_stored_ones_is_wrong(error: float) -> None:
    wrong, _ = rougher(STORED, of(off_by(error, seed=3)), "bfloat16")
    assert wrong.startswith("in bfloat16 its tokens are off by")
    assert wrong.endswith("stored in bfloat16 they were off by 0.0094")


def test_without_a_result_in_fp32_other_bits_may_be_rougher() -> None:
    wrong, moved = rougher(of(off_by(0.01), None), of(off_by(0.03), None), "bfloat16")
    assert not wrong
    assert "where their own error is not known" in moved


def test_something_has_to_be_known_of_the_dtype_of_the_counters() -> None:
    assert rougher(STORED, STORED, "float16") == ("", "no result in float16 is compared with a stored one")
    assert rougher(STORED, STORED, "float32") == ("", "")


@pytest.mark.parametrize("images", [False, True])
def test_each_call_below_fp32_has_the_same_in_fp32(images: bool) -> None:
    calls = IMAGES if images else CELLS
    for number, (cells, contents, _) in enumerate(calls):
        place = exact_of(number, images)
        assert place is not None
        assert calls[place] == (cells, contents, "float32")
