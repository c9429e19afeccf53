from __future__ import annotations

import pytest

from vlbench.implementations.config import MODELS
from vlbench.implementations.optimized import OPTIMIZATIONS, Exactness
from vlbench.matrix.seams import NAIVE, seam_variants
from vlbench.towers.variants import default_variants
from vlbench.workload.seam_case import SeamCase
from vlbench.workload.seams import CASES

CONFIG = MODELS["qwen2.5-vl-tiny"]

cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
devices = pytest.mark.parametrize("device", ["cpu", "cuda"])


@cases
@devices
def test_the_naive_way_is_the_reference_tower_and_every_flag_is_a_row_or_left_out(case: SeamCase, device: str) -> None:
    variants, left_out = seam_variants(case.seams, CONFIG, device)
    assert (variants[0].name, variants[0].flags) == (NAIVE, None)
    assert {variant.reference for variant in variants} == {NAIVE}
    last = [variant.name.rpartition("+")[2] for variant in variants[1:]]
    assert sorted([*last, *left_out]) == sorted(flag for seam in case.seams for flag in seam.flags)
    assert all(left_out.values())


def test_a_flag_brings_what_it_needs_of_the_seams_that_are_measured() -> None:
    variants, _ = seam_variants(CASES["attention"].seams, CONFIG, "cpu")
    batched = next(variant for variant in variants if variant.name.endswith("+batched-windows"))
    assert (batched.name, batched.flags) == ("host-seqlens+batched-windows", ("batched-windows", "host-seqlens"))
    assert batched.exactness is Exactness.REASSOCIATED


def test_a_flag_does_not_bring_what_lies_in_other_seams() -> None:
    assert OPTIMIZATIONS["inverse-pinned"].requires == ("pinned-h2d",)
    variants, _ = seam_variants(CASES["pinning"].seams, CONFIG, "cuda")
    assert [variant.flags for variant in variants] == [None, ("inverse-pinned",)]


def test_what_concerns_a_gpu_is_left_out_without_one() -> None:
    variants, left_out = seam_variants(CASES["transfer"].seams, CONFIG, "cpu")
    assert [variant.name for variant in variants] == [NAIVE]
    assert left_out.keys() == {"pinned-h2d", "packed-h2d"}


@devices
def test_a_seam_after_the_tower_has_its_rows_alone_and_none_in_a_towers_matrix(device: str) -> None:
    alone, left_out = seam_variants(CASES["merge"].seams, CONFIG, device)
    flags = {"merge-masked-scatter", "merge-host-indices"}
    assert {flag for variant in alone for flag in variant.flags or ()} == flags
    assert left_out == {}
    rows, _ = default_variants(CONFIG, device)
    assert not flags & {flag for variant in rows for flag in variant.flags or ()}
