"""Rows from counts made in this process; `tests/cli/test_ab.py` makes them of real revisions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from tests.trial.plans import ROOT
from vlbench.comparing.counted_cells import CountResult, count_result
from vlbench.counting.job import Point
from vlbench.counting.measure import count_tower
from vlbench.counting.rows import Row
from vlbench.counting_device import CountingDevice
from vlbench.judging.verdict import Verdict
from vlbench.record.counted import CountedTower
from vlbench.revisions.counters import row_of
from vlbench.revisions.request import Request

TOWER = "qwen2.5-vl-tiny+best"
POINT = Point(scenario="small", label="count=2", grids=((1, 4, 6), (1, 4, 6)))
ASKED = Request(
    towers=(TOWER,),
    scenarios=("small",),
    device="cpu",
    dtype="float32",
    counted_dtype="bfloat16",
    counters=True,
    profile="sm_90",
    exactness="reassociated",
)


@pytest.fixture(scope="module")
def device() -> Iterator[CountingDevice]:
    with CountingDevice("ghost") as opened:
        yield opened


def counted(device: CountingDevice, tower: str) -> CountedTower:
    return count_tower(device, Row(tower, tower), POINT, torch.bfloat16)[0]


def result(tower: CountedTower) -> CountResult:
    return count_result(tower, POINT, "sm_90", "bfloat16")


def test_counts_are_compared_exactly_under_the_name_that_both_have(device: CountingDevice) -> None:
    best, plain = counted(device, TOWER), counted(device, "qwen2.5-vl-tiny")
    cell = f"{TOWER} small count=2 bfloat16 sm_90"
    for head, verdict in ((best, Verdict.SAME), (plain, Verdict.REGRESSED)):
        row = row_of(result(best), result(head), TOWER, POINT, ASKED)
        assert (row.cell, row.measure, row.verdict) == (cell, "counters", verdict)


def test_our_own_are_counted_from_their_folder(device: CountingDevice) -> None:
    """Lines included, which are named alike from any folder."""
    here, there = counted(device, TOWER), counted(device, f"at:{ROOT}:{TOWER}")
    row = row_of(result(here), result(there), TOWER, POINT, ASKED)
    assert row.verdict is Verdict.SAME
    assert here.cold is not None
    assert there.cold is not None
    lines = [[str(site.where).removeprefix("vlbench/") for site in each.cold.sites] for each in (here, there)]
    assert lines[0] == lines[1] != []


def test_a_side_that_cannot_be_counted_is_named(device: CountingDevice) -> None:
    good, bad = counted(device, TOWER), CountedTower(name="x", tower="x", failed="it raised")
    for base, head, name in ((bad, good, "BASE"), (good, bad, "HEAD")):
        row = row_of(result(base), result(head), TOWER, POINT, ASKED)
        assert row.cell == f"{TOWER} small count=2 bfloat16 sm_90"
        assert (row.verdict, row.reason) == (Verdict.MISSING, f"{name} cannot be counted: it raised")


def test_counts_of_two_versions_of_torch_are_compared_and_say_so(device: CountingDevice) -> None:
    new = result(counted(device, TOWER))
    assert new.cell
    key = new.cell.key.model_copy(update={"torch_version": "2.9.1"})
    old = replace(new, cell=new.cell.model_copy(update={"key": key}))
    row = row_of(old, new, TOWER, POINT, ASKED)
    assert row.verdict is Verdict.SAME
    assert row.reason.startswith(f"across torch 2.9.1 and {new.cell.key.torch_version}, which may make other operati")
