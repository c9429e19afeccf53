"""What sketches of outputs tell apart, and what they take for rounding."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vlbench.trial.sketch import LIMITS, MOST_ROWS, difference, is_empty, same_weights, sketch, sketch_weights

RIGHT = torch.randn(24, 64, generator=torch.Generator().manual_seed(0))
OTHER = torch.randn(24, 64, generator=torch.Generator().manual_seed(1))
LIMIT = LIMITS["float32"]


def with_row(row: int, new: Tensor) -> Tensor:
    found = RIGHT.clone()
    found[row] = new
    return found


@pytest.mark.parametrize(
    ("wrong", "row"),
    [
        (torch.zeros_like(RIGHT), None),
        (OTHER, None),  # the last output of that shape
        (torch.cat([RIGHT[:20], torch.zeros(4, 64)]), None),  # a window that was dropped
        (with_row(5, RIGHT[5] + 0.01 * OTHER[5]), 5),
        (with_row(7, RIGHT[8]), 7),
        (RIGHT.flip(0), None),
        (RIGHT[:, torch.arange(64).flip(0)], None),
        (RIGHT * 1.001, None),
        (-RIGHT, None),
        (with_row(3, torch.tensor(float("nan"))), 3),
        (with_row(3, torch.tensor(float("inf"))), 3),
    ],
)
def test_what_is_wrong_is_found_with_its_row(wrong: Tensor, row: int | None) -> None:
    error, found = difference(sketch(RIGHT), sketch(wrong))
    assert error > 3 * LIMIT
    assert row is None or found == row


def test_a_wrong_shape_is_found() -> None:
    assert difference(sketch(RIGHT), sketch(RIGHT[:-1]))[0] == float("inf")


def test_another_order_of_additions_is_rounding() -> None:
    weights = torch.randn(64, 64, generator=torch.Generator().manual_seed(2))
    halves = RIGHT[:, :32] @ weights[:32] + RIGHT[:, 32:] @ weights[32:]
    exact = (RIGHT.double() @ weights.double()).float()
    assert not torch.equal(halves, exact)
    assert difference(sketch(exact), sketch(halves))[0] < LIMIT / 10


@pytest.mark.parametrize("swap", [False, True])
def test_one_token_of_more_than_are_kept_alone_is_found(swap: bool) -> None:
    """Tokens that share a row of the sketch cannot stand in for each other."""
    many = torch.randn(2 * MOST_ROWS + 3, 64, generator=torch.Generator().manual_seed(3))
    wrong = many.clone()
    if swap:
        wrong[[1, 1 + MOST_ROWS]] = many[[1 + MOST_ROWS, 1]]
    else:
        wrong[1 + MOST_ROWS] *= 1.01
    assert difference(sketch(many), sketch(many))[0] == 0
    error, row = difference(sketch(many), sketch(wrong))
    assert (error > LIMIT, row) == (True, 1)


@pytest.mark.parametrize(
    ("part", "empty"),
    [(torch.zeros(3, 4), True), (RIGHT / 0, True), (RIGHT, False), (with_row(0, torch.zeros(64)), False)],
)
def test_what_guards_nothing_is_known(part: Tensor, empty: bool) -> None:
    assert is_empty(sketch(part)) is empty


@pytest.mark.parametrize(
    ("change", "names", "values"),
    [
        (lambda weights: weights * (1 + 1e-7), True, True),
        (lambda weights: weights * 1.001, True, False),
        (lambda weights: weights.flip(0), True, False),
        (lambda weights: weights[:-1], False, False),
    ],
)
def test_weights_are_told_apart_but_for_rounding(change: Callable[[Tensor], Tensor], names: bool, values: bool) -> None:
    weights = torch.randn(100, 90, generator=torch.Generator().manual_seed(4))
    before, after = sketch_weights({"w": weights}), sketch_weights({"w": change(weights)})
    assert (before[0] == after[0], same_weights(before[1], after[1])) == (names, values)
