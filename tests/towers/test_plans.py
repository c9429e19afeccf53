"""Which towers take a plan, and in which rows that is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlbench.counting.rows import Row
from vlbench.errors import UsageError
from vlbench.towers.plans import beside_handed_in, places_of, places_of_flags

TOYS = "tests.towers.toys"
BOTH = ("device", "host")


@pytest.mark.parametrize(
    ("tower", "places"),
    [
        ("qwen2.5-vl-tiny", ()),
        ("qwen2.5-vl-tiny+baseline", ()),
        ("qwen2.5-vl-tiny+rope-cache", BOTH),
        ("qwen2.5-vl-tiny+rope-cache+host-seqlens", ("device",)),
        ("qwen3-vl-8b+best", ("device",)),
        ("hf:qwen3-vl-8b", BOTH),
        ("hf-eager:qwen2-vl-7b", BOTH),
        (f"{TOYS}:Toy", ()),
        (f"{TOYS}:A_TOWER", ()),
        (f"{TOYS}:PLANNED", BOTH),
        (f"{TOYS}:PLANNED_THERE", ("device",)),
    ],
)
def test_where_the_plan_of_a_tower_can_be_made(tower: str, places: tuple[str, ...]) -> None:
    assert places_of(tower, "cpu") == places


def test_the_code_of_another_folder_takes_none(tmp_path: Path) -> None:
    assert places_of(f"at:{tmp_path}:qwen2.5-vl-tiny+best", "cpu") == ()


def test_the_reference_tower_takes_none() -> None:
    assert places_of_flags(None) == ()
    assert places_of_flags(()) == BOTH
    assert places_of_flags(("host-seqlens", "varlen")) == BOTH  # its longest segment is asked for in every layer
    assert places_of_flags(("host-max-seqlen", "host-seqlens", "varlen")) == ("device",)


def test_rows_stand_behind_their_towers_own() -> None:
    rows = beside_handed_in(
        [Row("a", "qwen2.5-vl-tiny"), Row("b", "x+no")], lambda row: BOTH if row.name == "b" else ()
    )
    assert [(row.name, row.plan) for row in rows] == [
        ("a", "inside"),
        ("b", "inside"),
        ("b plan=device", "device"),
        ("b plan=host", "host"),
    ]


def test_where_no_tower_takes_one_it_is_refused_by_name() -> None:
    with pytest.raises(UsageError) as refused:
        beside_handed_in([Row("baseline", "qwen2.5-vl-tiny"), Row("mine", "my:tower")], lambda row: ())
    assert str(refused.value).startswith("--plan: handing a plan in is not offered by baseline, mine; name a tower of")
