from __future__ import annotations

import pytest

from vlbench.selftest.copies import FULL, QUICK, Design
from vlbench.selftest.verdicts import GOAL_POWER, GOAL_SLOW_DOWN
from vlbench.towers.variants import YARDSTICK


@pytest.mark.parametrize("design", [FULL, QUICK])
def test_copies_have_no_flags_and_are_not_the_yardstick(design: Design) -> None:
    first, *others = design.variants
    assert first.name == YARDSTICK
    assert len({variant.name for variant in design.variants}) == len(design.variants)
    assert {variant.flags for variant in design.variants} == {None}
    assert {variant.reference for variant in others} == {YARDSTICK}
    assert [variant.slow_down for variant in others].count(0.0) == design.copies
    assert {variant.slow_down for variant in others} == {0.0, *design.slowed}


def test_the_full_one_makes_the_comparisons_that_it_promises() -> None:
    assert FULL.groups * FULL.copies >= 200
    assert FULL.groups * FULL.slowed[GOAL_SLOW_DOWN] >= 60
    assert round(60 * GOAL_POWER) == 57
    assert FULL.trials * FULL.seconds == 60


def test_groups_are_told_apart() -> None:
    assert len({point.label for point in FULL.points}) == len(FULL.points) == FULL.groups
