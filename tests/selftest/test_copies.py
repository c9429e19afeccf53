from __future__ import annotations

import pytest

from vlbench.cli.self_test import plans_of
from vlbench.record.schema import REFERENCE
from vlbench.selftest.copies import FULL, QUICK, Design, designs
from vlbench.selftest.verdicts import GOAL_POWER, GOAL_SLOW_DOWN

ON_GPU = [*designs("cuda", quick=False), *designs("cuda", quick=True)]


@pytest.mark.parametrize("design", [*FULL, *QUICK, *ON_GPU], ids=lambda design: design.shape)
def test_copies_have_no_flags_and_are_not_the_reference(design: Design) -> None:
    first, *others = design.variants
    assert first.name == ("naive" if design.kind == "seam" else REFERENCE)
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


def test_on_a_gpu_the_same_comparisons_are_slowed_on_the_stream_and_in_one_shape_on_the_host() -> None:
    found = designs("cuda", quick=False)
    assert [design.shape for design in found] == [
        "2x2, 51 rows, slowed on the stream",
        "2x2, 25 rows, slowed on the host",
        "128x128, 25 rows, slowed on the stream",
        "ab 2x2, 4 rows, slowed on the stream",
        "inverse-permutation, 46 rows, slowed on the stream",
    ]
    for design, on_cpu in zip(found, FULL, strict=True):
        assert (design.groups, design.copies, design.slowed) == (on_cpu.groups, on_cpu.copies, on_cpu.slowed)
        for plan in plans_of(design, 0, 1):
            assert plan.device == "cuda"
            rows = [row for row in plan.group([], []).rows if row.slow_down]
            assert {f"slowed on the {row.slowed_on}" for row in rows} == {design.shape.rpartition(", ")[2]}
    assert designs("cpu", quick=False) == FULL
    assert {variant.slowed_on for design in FULL for variant in design.variants} == {"host"}
