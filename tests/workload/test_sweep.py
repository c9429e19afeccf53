from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from vlbench.errors import UsageError
from vlbench.workload.sweep import unroll

VALUES = st.lists(st.integers(), min_size=1, max_size=4, unique=True)


def test_without_a_list_there_is_one_point_without_a_label() -> None:
    table = {"limit": "hub", "item": [{"size": "56x84"}, {"size": "84x56"}]}
    assert unroll(table) == [("", table)]


@given(VALUES, VALUES)
def test_two_lists_make_their_cartesian_product(counts: list[int], limits: list[int]) -> None:
    points = unroll({"item": [{"count": counts}], "limit": limits})
    expected = [
        (f"count={count},limit={limit}", {"item": [{"count": count}], "limit": limit})
        for count in counts
        for limit in limits
    ]
    assert points == expected


def test_swept_fields_of_one_name_are_told_apart() -> None:
    labels = [label for label, _ in unroll({"item": [{"count": [1, 2]}, {"count": [3]}]})]
    assert labels == ["item[0].count=1,item[1].count=3", "item[0].count=2,item[1].count=3"]


def test_points_share_nothing() -> None:
    (_, first), (_, second) = unroll({"item": [{"count": [1, 2]}, {"count": 5}]})
    first["item"][1]["count"] = 7
    assert second["item"] == [{"count": 2}, {"count": 5}]


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"item": [{"count": []}]}, r"^item\[0\]\.count is an empty list; give at least one value$"),
        ({"item": []}, "^item is an empty list; give at least one value$"),
        ({"mix": {"requests": [1, 4, 1]}}, r"^mix\.requests lists a value twice; remove one of the two$"),
    ],
)
def test_lists_that_cannot_be_swept_are_refused(table: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        unroll(table)
