"""Counters are what is left of the sequence without its order."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable

import pytest
import torch

from vlbench.counting.job import Point
from vlbench.counting.measure import two_forwards
from vlbench.counting.rows import Row
from vlbench.counting.sequence import sequences_of
from vlbench.counting_device import CountingDevice
from vlbench.errors import UsageError
from vlbench.record.counts import Counts, Tally
from vlbench.record.sequence import Event, Kind
from vlbench.towers.resolve import resolve_tower

GRIDS = ((1, 8, 12), (2, 6, 4))


def tally(events: Iterable[Event]) -> Tally:
    """What the counters of these events have to be, written down once more."""
    found: Counter[str] = Counter()
    for each in events:
        found["device_operations"] += each.kind is Kind.OPERATION
        found["attention_calls"] += each.attention != ""
        found["attention_plans"] += each.new_plan
        found["host_syncs"] += each.blocking
        if each.kind is Kind.READ_BACK:
            found.update(read_backs=1, read_back_bytes=each.bytes)
        elif each.kind is Kind.UPLOAD and each.implicit:
            found.update(implicit_uploads=1, implicit_upload_bytes=each.bytes)
        elif each.kind is Kind.UPLOAD:
            found.update(uploads=1, upload_bytes=each.bytes, pinned_uploads=int(each.pinned))
        elif each.kind is Kind.ALLOCATION:
            found.update(allocations=1, allocated_bytes=each.bytes)
    return Tally(**found)


def without_empty(stages: dict[str, Tally]) -> dict[str, Tally]:
    return {name: each for name, each in stages.items() if each != Tally()}


@pytest.mark.parametrize("tower", ["qwen2.5-vl-tiny", "qwen2.5-vl-tiny+best", "hf:qwen3-vl-tiny"])
def test_the_counters_are_those_of_the_events(tower: str) -> None:
    point, row = Point(scenario="grid", label="", grids=GRIDS), Row(tower, tower)
    with CountingDevice("ghost", "sm_90") as device:
        with device.building():
            found = resolve_tower(tower)
        plain = two_forwards(device, found, point, torch.bfloat16, row)
        gc.collect()  # or the dead module is taken for live memory
        ordered = two_forwards(device, found, point, torch.bfloat16, row, ordered=True)
    for without, seen in zip(plain, ordered, strict=True):
        assert not without.events
        counts: Counts = seen.forward.counts
        assert without.forward == seen.forward  # who listens changes nothing
        by_events = {
            name: tally([each for each in seen.events if each.stage == name])
            for name in dict.fromkeys(each.stage for each in seen.events)
        }
        assert without_empty(by_events) == without_empty(counts.stages)
        names = Counter(each.name for each in seen.events if each.kind is Kind.OPERATION)
        assert names == counts.operations


def test_a_forward_goes_through_its_stages_in_order() -> None:
    warm = sequences_of("qwen2.5-vl-tiny", GRIDS).warm
    stages = list(dict.fromkeys(each.stage for each in warm))
    blocks = [name for name in stages if name.startswith("block[")]
    assert [int(name[6:].partition("]")[0]) for name in blocks] == sorted(int(n[6:].partition("]")[0]) for n in blocks)
    assert stages.index("patch_embed") < stages.index(blocks[0]) < stages.index("merger")


def test_grids_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="merges 2 x 2 patches"):
        sequences_of("qwen2.5-vl-tiny", [(1, 3, 4)])
