from __future__ import annotations

import pytest

from vlbench.selftest.copies import FULL, QUICK, Design
from vlbench.selftest.verdicts import GOAL_POWER, GOAL_SLOW_DOWN
from vlbench.towers.variants import YARDSTICK


@pytest.mark.parametrize("design", [*FULL, *QUICK], ids=lambda design: design.shape)
def test_copies_have_no_flags_and_are_not_the_reference(design: Design) -> None:
    first, *others = design.variants
    assert first.name == ("naive" if design.kind == "seam" else YARDSTICK)
    assert len({variant.name for variant in design.variants}) == len(design.variants)
    assert {variant.flags for variant in design.variants} == {None}
    against = "BASE" if design.kind == "ab" else first.name
    assert {variant.reference for variant in others if variant.name != "BASE"} == {against}
    made = [variant.slow_down for variant in others if variant.name != "BASE"]
    assert made.count(0.0) == design.copies
    assert set(made) == {0.0, *design.slowed}


def test_the_full_one_makes_the_comparisons_that_it_promises_in_the_shapes_that_are_used() -> None:
    assert sum(design.groups * design.copies for design in FULL) == 200
    assert sum(design.groups * design.slowed[GOAL_SLOW_DOWN] for design in FULL) == 60
    assert round(60 * GOAL_POWER) == 57
    assert len({(design.seconds, design.trials) for design in FULL}) == 1
    assert [design.shape for design in FULL] == [
        "2x2, 51 rows",
        "2x2, 25 rows",
        "10x10, 25 rows",
        "ab 2x2, 4 rows",
        "inverse-permutation, 46 rows",
    ]


def test_groups_are_told_apart() -> None:
    labels = [point.label for design in FULL for point in design.points]
    assert len(set(labels)) == len(labels) == sum(design.groups for design in FULL)
