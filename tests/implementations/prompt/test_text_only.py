from __future__ import annotations

import pytest
import torch
from hypothesis import given, strategies as st

from vlbench.implementations.prompt.mrope import RULES, Item, Request, mrope
from vlbench.implementations.prompt.text_only import Prepare, preparation

RULE = RULES["qwen2_5_vl"]
IMAGE = RULE.image_token
ways = pytest.mark.parametrize(
    "way", [preparation.naive_way, *(preparation.way_of([flag]) for flag in preparation.flags)]
)


@ways
@given(ids=st.lists(st.integers(0, 1000), min_size=1, max_size=20))
def test_text_stays_and_its_positions_count_up(way: Prepare, ids: list[int]) -> None:
    whole, mask, positions, delta = way(torch.tensor(ids), (), RULE)
    assert whole.tolist() == ids
    assert not mask.any()
    assert positions.tolist() == [list(range(len(ids)))] * 3
    assert delta.tolist() == [0]


@ways
def test_a_picture_gets_a_placeholder_for_each_of_its_tokens(way: Prepare) -> None:
    item = Item((1, 4, 6))
    whole, mask, positions, delta = way(torch.tensor([1, IMAGE, 2]), (item,), RULE)
    assert whole.tolist() == [1, *[IMAGE] * 6, 2]
    assert mask.tolist() == [False, *[True] * 6, False]
    wanted, after = mrope.naive_way([Request(whole, (item,))], RULE)
    assert torch.equal(positions, wanted)
    assert torch.equal(delta, after)


@ways
@pytest.mark.parametrize(
    ("ids", "items"), [([1, IMAGE], ()), ([IMAGE, IMAGE], (Item((1, 2, 2)),)), ([1], (Item((1, 2, 2)),))]
)
def test_placeholders_that_do_not_fit_the_items_are_an_error(
    way: Prepare, ids: list[int], items: tuple[Item, ...]
) -> None:
    with pytest.raises(ValueError, match=r"placeholders|from token 1 of its prompt"):
        way(torch.tensor(ids), items, RULE)
