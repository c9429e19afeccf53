from __future__ import annotations

import pytest

from vlbench.errors import UsageError
from vlbench.matrix.plan import COORDINATES, parse_filter


def test_without_patterns_everything_passes() -> None:
    assert parse_filter([]).keeps(scenario="a", variant="b")


def test_patterns_of_one_coordinate_add_up_and_those_of_several_must_all_match() -> None:
    cells = parse_filter(["variant=rope-*,best", "variant=exact", "model=qwen2.5-*"])
    kept = [
        name for name in ("rope-cache", "best", "exact", "classic") if cells.keeps(variant=name, model="qwen2.5-vl-7b")
    ]
    assert kept == ["rope-cache", "best", "exact"]
    assert not cells.keeps(variant="best", model="qwen2-vl-7b")


def test_a_coordinate_that_is_not_known_yet_is_not_asked_about() -> None:
    assert parse_filter(["variant=x"]).keeps(model="y")


def test_a_pattern_may_hold_an_equals_sign() -> None:
    assert parse_filter(["point=count=4"]).keeps(point="count=4")
    assert not parse_filter(["point=count=4"]).keeps(point="count=16")


@pytest.mark.parametrize("text", ["", "variant", "variant=", "=x", "flag=x"])
def test_anything_else_is_refused_with_the_coordinates(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_filter([text])
    assert str(caught.value) == f"--filter: {text!r} must be COORDINATE=PATTERN with one of {', '.join(COORDINATES)}"
