"""Rows in the order of the input, and tables in one form, whatever a tower has them in."""

from __future__ import annotations

import pytest
import torch

from vlbench.diverging.rows import order_between, rope_table, segment_table, to_input, to_stream
from vlbench.implementations.optimized.rope import Angles, CosSin
from vlbench.implementations.optimized.segments import Segments

ORDER = torch.tensor([4, 5, 6, 7, 0, 1, 2, 3, 8, 9, 10, 11])


def test_rows_go_to_the_input_and_back() -> None:
    stream = ORDER.float().unsqueeze(1)
    assert to_input(stream, ORDER).flatten().tolist() == list(range(12))
    assert torch.equal(to_stream(to_input(stream, ORDER), ORDER), stream)
    tokens = torch.tensor([[1.0], [0.0], [2.0]])
    assert to_input(tokens, ORDER).flatten().tolist() == [0, 1, 2]


def test_nothing_that_is_handed_over_shares_memory() -> None:
    rows = torch.ones(3, 2)
    for order in (None, torch.arange(3)):
        assert to_input(rows, order).data_ptr() != rows.data_ptr() != to_stream(rows, order).data_ptr()


def test_the_order_is_found_from_the_rows() -> None:
    before = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(order_between(before, before[ORDER], 4), ORDER)  # type: ignore[arg-type]
    assert order_between(before, before[ORDER] + 1, 4) is None
    assert order_between(before, before[ORDER.roll(1)], 4) is None, "cells are torn"
    assert order_between(before, before[[0] * 12], 4) is None, "rows are there twice"
    assert order_between(before, before[:8], 4) is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([torch.tensor([0, 4, 4, 12])], [0] * 8 + [4, 4, 4, 4]),
        ([None, 3, [0, 4, 12]], [0] * 8 + [4, 4, 4, 4]),
        ([Segments([0, 8, 12], gather=torch.tensor([2, 0, 1]))], None),
        ([[0, 4, 8]], "none"),
        ([torch.tensor([0.0, 12.0])], "none"),
    ],
)
def test_segments_are_told_by_their_first_patch(given: list[object], expected: object) -> None:
    found = segment_table(given, ORDER, 12)
    if expected == "none":
        assert found is None
        return
    assert found is not None
    if expected is None:  # cells 2 and 0 of the stream, which are cells 2 and 1 of the input, and then cell 0
        assert found.tolist() == [0] * 4 + [4] * 8
    else:  # the stream's first cell is the input's second
        assert found.tolist() == [0] * 4 + [4] * 4 + [0] * 4


def test_rope_tables_come_to_one_form() -> None:
    angles = torch.rand(5, 4)
    wanted = torch.cat([angles.cos(), angles.cos(), angles.sin(), angles.sin()], dim=1)
    whole = tuple(torch.cat((part, part), dim=1) for part in (angles.cos(), angles.sin()))
    for given in (angles, Angles(angles), CosSin(angles.cos(), angles.sin()), whole, list(whole)):
        assert torch.equal(rope_table([None, 7, given], 8), wanted)  # type: ignore[arg-type]
    assert rope_table([torch.tensor([0, 4]), None], 8) is None
