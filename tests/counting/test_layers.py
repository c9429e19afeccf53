"""A tower counted by its layers has exactly the counters of the tower counted in full."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vlbench.counting.job import Point
from vlbench.counting.layers import kinds_of, pieces_of, reduction_of
from vlbench.counting.rows import Row
from vlbench.counting.scaled import in_full, row_at_scale, scaled
from vlbench.counting.sequence import sequences_of
from vlbench.counting_device import CountingDevice
from vlbench.errors import UsageError
from vlbench.implementations.config import MODELS, VisionConfig
from vlbench.record.sequence import Event, Kind

POINT = Point(scenario="grid", label="", grids=((1, 8, 12), (2, 6, 4)))
REMEDY = "`vlbench count` counts it by itself"


def deep(name: str, depth: int, **more: object) -> VisionConfig:
    return replace(MODELS[name], name="deep", depth=depth, **more)  # type: ignore[arg-type]


DEEP = {
    "alike": deep("qwen2-vl-tiny", 8),
    "windows": deep("qwen2.5-vl-tiny", 12, fullatt_block_indexes=(3, 7, 11)),
    "deepstack": deep("qwen3-vl-tiny", 12, deepstack_blocks=(2, 5)),
    "ends in its own kind": deep("qwen2.5-vl-tiny", 11, fullatt_block_indexes=(10,)),
}


def check(tower: str, point: Point) -> None:
    with CountingDevice("ghost", "sm_90") as device:
        found = scaled(device, Row(tower, tower), point, torch.bfloat16)
        wanted = in_full(device, Row(tower, tower), point, torch.bfloat16)
        assert found.by_layers
        assert (found.cold, found.warm, found.peak_live_bytes) == (wanted.cold, wanted.warm, wanted.peak_live_bytes)


QUICK = [("windows", "deep+best")]
SLOW = [(kind, spelled) for kind in DEEP for spelled in ("deep", "deep+best", "hf:deep")]


@pytest.mark.parametrize(
    ("kind", "spelled"),
    [*QUICK, *(pytest.param(*each, marks=pytest.mark.slow(4)) for each in SLOW if each not in QUICK)],
)
def test_layers_give_what_the_whole_tower_is_counted_as(
    kind: str, spelled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS, "deep", DEEP[kind])
    check(spelled, POINT)


@pytest.mark.slow(4)
@pytest.mark.parametrize(
    ("kind", "spelled"), [("windows", "deep+best"), ("deepstack", "deep"), ("deepstack", "hf:deep")]
)
def test_the_events_are_those_of_the_whole_tower(kind: str, spelled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those of a first call, with the plans of cuDNN at the blocks that build them."""
    monkeypatch.setitem(MODELS, "deep", DEEP[kind])
    with CountingDevice("ghost", "sm_90") as device:
        found = scaled(device, Row(spelled, spelled), POINT, torch.bfloat16).sequences()
    whole = sequences_of(spelled, POINT.grids)
    plans = {event.stage.partition(".")[0] for event in whole.cold if event.new_plan}
    assert kind == "windows" or plans == {"block[0]"}
    assert found.warm == whole.warm
    assert found.cold == whole.cold


ROWS = ["%s+best", "%s+classic", "%s+varlen", "hf:%s"]


@pytest.mark.slow(20)
@pytest.mark.parametrize("model", ["qwen2.5-vl-7b", "qwen3-vl-8b", "qwen2-vl-7b"])
def test_released_towers_by_their_layers(model: str) -> None:
    for row in ROWS[: None if model == "qwen2.5-vl-7b" else 1]:
        check(row % model, POINT)


def test_kinds_of_layers() -> None:
    found = reduction_of(MODELS["qwen2.5-vl-7b"])
    assert found is not None
    assert [kinds_of(each) for each in found.towers] == [
        [(False, False), (True, False)],
        [(False, False), (False, False), (True, False)],
        [(False, False), (True, False), (True, False)],
    ]
    assert found.more == (27, 3)
    deepstack = reduction_of(MODELS["qwen3-vl-8b"])
    assert deepstack is not None
    assert [(each.depth, each.deepstack_blocks) for each in deepstack.towers] == [(3, (1,)), (4, (2,)), (4, (1, 2))]
    assert deepstack.more == (22, 2)
    alike = reduction_of(MODELS["qwen2-vl-7b"])
    assert alike is not None
    assert [each.depth for each in alike.towers] == [2, 3]
    assert alike.more == (30,)


def test_three_kinds_of_layers_and_shallow_towers_are_counted_in_full() -> None:
    assert reduction_of(MODELS["qwen2.5-vl-tiny"]) is None
    both = replace(MODELS["qwen2.5-vl-7b"], fullatt_block_indexes=(7, 31), deepstack_blocks=(3,))
    assert reduction_of(both) is None


def test_what_differs_from_layer_to_layer_is_not_concluded() -> None:
    reduction = reduction_of(DEEP["alike"])
    assert reduction is not None

    def events(depth: int, odd: int | None = None) -> tuple[Event, ...]:
        def block(number: int) -> list[Event]:
            more = 2 if number == odd else 1
            return [Event(Kind.OPERATION, "aten::mm", f"block[{number}].mlp")] * more

        return (Event(Kind.VIEW, "aten::t"), *(each for number in range(depth) for each in block(number)))

    even = [events(2), events(3)]
    pieces = pieces_of(reduction, even, even)
    assert pieces is not None
    assert pieces[1].whole(reduction.kinds) == events(8)
    assert pieces_of(reduction, even, [events(2), events(3, odd=2)]) is None
    assert pieces_of(reduction, even, [events(2, odd=0), events(3, odd=0)]) is None
    assert pieces_of(reduction, [events(2), events(3, odd=1)], even) is None
    assert pieces_of(reduction, even, [events(2), events(3)[1:]]) is None  # what comes before is another
    assert pieces_of(reduction, even, [events(2), tuple(replace(each, stage="") for each in events(3))]) is None


def test_a_row_that_cannot_be_counted_says_why() -> None:
    with CountingDevice("ghost", "sm_90") as device:
        none = row_at_scale(device, Row("x", "qwen2.5-vl-7b+no-such-flag"), POINT, torch.bfloat16)
        compiled = row_at_scale(device, Row("y", "hf-compile:qwen2.5-vl-tiny"), POINT, torch.bfloat16)
    assert none.warm is None
    assert none.failed is not None
    assert "no-such-flag" in none.failed
    assert compiled.failed is not None
    assert "torch.compile" in compiled.failed


def test_code_for_another_platform_says_nothing_of_a_gpu() -> None:
    tower = "tests.counting.toy_towers:on_another_platform"
    with CountingDevice("ghost", "sm_90") as device:
        row = row_at_scale(device, Row("x", tower), POINT, torch.bfloat16)
    assert (row.warm, row.failed) == (
        None,
        f"{tower}: its code is for a CPU platform, and would be another on a GPU; {REMEDY}",
    )
    with pytest.raises(UsageError, match="its code is for a CPU platform"):
        sequences_of(tower, POINT.grids)
