"""Where the worst token is."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor

from tests.trial.accuracy_toys import FIRST, SECOND, InCall, check, right
from vlbench.record.exactness import Token
from vlbench.trial.accuracy import Grid
from vlbench.trial.worst import worst_token

sides = st.integers(1, 4).map(lambda cells: 2 * cells)
grid_lists = st.lists(st.tuples(st.integers(1, 3), sides, sides), min_size=1, max_size=4)


def places(grids: Iterable[Grid]) -> list[tuple[int, int, int, int]]:
    """Item, frame, row and column of every token, in order."""
    return [
        (item, frame, row, column)
        for item, (t, h, w) in enumerate(grids)
        for frame in range(t)
        for row in range(h // 2)
        for column in range(w // 2)
    ]


def place(token: Token) -> tuple[int, int, int, int]:
    return token.item, token.frame, token.row, token.column


@given(grids=grid_lists, data=st.data(), value=st.sampled_from([3.0, float("inf"), float("nan")]))
def test_the_worst_token_is_found_where_it_is(grids: list[Grid], data: st.DataObject, value: float) -> None:
    tokens = places(grids)
    index = data.draw(st.integers(0, len(tokens) - 1))
    wanted = torch.ones(len(tokens), 5)
    output = wanted + 0.01
    output[index, data.draw(st.integers(0, 4))] = value
    assert place(worst_token(output, wanted, grids)) == tokens[index]


def test_the_worst_tokens_error_is_relative_to_all_tokens() -> None:
    wanted = torch.full((6, 4), 2.0)  # every token has norm 4
    output = wanted.clone()
    output[4, 0] += 1.0
    assert worst_token(output, wanted, [(1, 4, 6)]).error == pytest.approx(0.25)


def test_more_tokens_than_the_grids_have_is_an_error() -> None:
    with pytest.raises(ValueError, match="more tokens than the grids have"):
        worst_token(torch.tensor([[1.0], [5.0]]), torch.ones(2, 1), [(1, 2, 2)])


@pytest.mark.parametrize("number", [0, 1])
def test_the_judge_names_the_token_of_the_input_that_is_furthest_off(number: int) -> None:
    grids = (FIRST, SECOND)[number]
    index = 9

    def off(output: Tensor) -> Tensor:
        output[index] += 1
        return output

    verdict = check(InCall(1 + number, off), "reassociated")
    assert verdict.worst_token
    assert place(verdict.worst_token) == places(grids)[index]


def test_a_right_tower_has_no_worst_token() -> None:
    assert check(right).worst_token is None
