"""A reference tower that is not finite compares with nothing: said with the stage, and the token, where it begins."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.implementations.towers import TINY
from vlbench.implementations import build_tower
from vlbench.implementations.stage import stage
from vlbench.implementations.weights import SharedTensors, random_weights
from vlbench.trial.accuracy import Input, Judge, awkward_inputs
from vlbench.trial.finite import first_not_finite
from vlbench.trial.worst import worst_token

CONFIG = TINY[1]
GRIDS = ((1, 4, 4), (2, 4, 6))


def overflowing() -> SharedTensors:
    """An MLP of block 1 that overflows float16 and not float32, as Qwen2.5-VL does on some pictures."""
    weights = random_weights(CONFIG)
    for name in ("gate_proj", "up_proj", "down_proj"):
        weights[f"blocks.1.mlp.{name}.weight"] *= 40
    return weights


def test_a_reference_that_overflows_says_where_and_passes_nothing() -> None:
    made = overflowing()
    half = SharedTensors({key: tensor.half() for key, tensor in made.items()})
    exact, timed = build_tower(CONFIG, None, made), build_tower(CONFIG, None, half)
    inputs = [each.to(torch.float16) for each in awkward_inputs(CONFIG.preprocessing, torch.device("cpu"), 0)[:1]]
    judge = Judge(inputs, torch.float16, exact, timed)
    found = judge.check("bit-exact", lambda: exact, lambda: timed)
    assert not found.passed
    assert found.reason is not None
    assert found.reason.startswith("the reference tower itself is not finite in float16, first in block[1].mlp")
    assert found.worst_token is not None
    assert not math.isfinite(found.worst_token.error)
    fine = Judge([each.to(torch.float32) for each in inputs], torch.float32, exact, exact)
    assert fine.check("bit-exact", lambda: exact, lambda: exact).passed


def test_a_mask_inside_a_stage_is_no_overflow() -> None:
    def forward() -> Tensor:
        with stage("forward"):
            with stage("attention"):
                scores = torch.zeros(2, 2).masked_fill(torch.eye(2).bool(), -torch.inf).softmax(1)
            with stage("mlp"):
                scores = scores / 0
            with stage("merger"):
                return scores * 2

    assert first_not_finite(forward) == "mlp"
    assert first_not_finite(lambda: torch.ones(2) / 0) == ""


@pytest.mark.parametrize(
    ("values", "worst"),
    [
        ({2: torch.inf, 5: torch.nan}, 2),
        ({2: torch.nan, 5: torch.inf}, 2),
        ({1: 1e30, 6: torch.nan}, 6),
        ({1: 1e30, 6: -torch.inf}, 6),
        ({1: 2.0, 6: 3.0}, 6),
        ({}, 0),
    ],
)
def test_the_first_token_that_is_no_number_is_the_worst(values: dict[int, float], worst: int) -> None:
    wanted = torch.ones(8, 4)
    output = wanted.clone()
    for place, value in values.items():
        output[place, 1] = value
    found = worst_token(output, wanted, [(1, 4, 8)])
    assert (found.row, found.column) == divmod(worst, 4)


def test_the_error_of_a_token_is_relative_to_the_mean_square_of_all() -> None:
    wanted = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, 12.0], [0.0, 0.0]])
    output = wanted.clone()
    output[1, 0] = 2.0
    scale = math.sqrt((25 + 144) / 4)
    assert worst_token(output, wanted, [(1, 4, 4)]).error == pytest.approx(2.0 / scale)


def test_a_variant_that_is_wrong_in_the_timed_dtype_names_its_token_there() -> None:
    pixels, grid = torch.zeros(64, 1), torch.tensor(GRIDS)

    def tower(place: int | None) -> object:
        def call(pixels: Tensor, _: Tensor) -> Tensor:
            output = torch.ones(16, 4, dtype=pixels.dtype)
            if place is not None and pixels.dtype is torch.bfloat16:
                output[place] = torch.nan
            return output

        return call

    judge = Judge([Input(pixels.bfloat16(), grid)], torch.bfloat16, tower(None), tower(None))  # type: ignore[arg-type]
    found = judge.check("ulp", lambda: tower(9), lambda: tower(9))  # type: ignore[arg-type, return-value]
    assert not found.passed
    assert found.worst_token is not None
    assert (found.worst_token.item, found.worst_token.row, found.worst_token.column) == (1, 1, 2)
