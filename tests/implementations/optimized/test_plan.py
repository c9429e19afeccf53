"""A plan handed in: the same bits as one made inside, and refused where it is of another call."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import FrozenInstanceError, replace

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from tests.implementations.grids import MIXED, Batch, batches
from tests.implementations.optimized.plans import new_tower, plan_of, tower_for
from tests.implementations.towers import NARROW, NARROW_2, NARROW_2_5, NARROW_3, joined, name_of, pixels_of
from vlbench.counting_device import CountingDevice
from vlbench.implementations import build_tower
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.optimized import PRESETS, OptimizedVisionTower, preset_flags
from vlbench.implementations.optimized.plan import PlanError, VisionPlan
from vlbench.implementations.weights import SharedTensors, parameter_shapes

families = pytest.mark.parametrize("config", NARROW, ids=name_of)


def best(config: VisionConfig) -> tuple[str, ...]:
    return tuple(sorted(preset_flags("best", config, "cpu")[0]))


def tensors_of(plan: VisionPlan) -> list[Tensor]:
    rope = plan.rope.cos_sin()
    others = (plan.window_index, plan.inverse, plan.frames.gather)
    return [rope.cos, rope.sin, *(each for each in others if each is not None)]


def call(tower: OptimizedVisionTower, batch: Batch, **plan: object) -> Tensor:
    pixels = pixels_of(tower.config, batch).to(next(tower.parameters()))
    with torch.inference_mode():
        return joined(tower(pixels, torch.tensor(batch), **plan))


@families
@pytest.mark.parametrize("preset", ["baseline", "exact", "best"])
@settings(max_examples=6)
@given(batches)
def test_the_same_bits_as_with_the_plan_made_inside(config: VisionConfig, preset: str, batch: Batch) -> None:
    tower = tower_for(config, *sorted(preset_flags(preset, config, "cpu")[0]))
    inside = call(tower, batch)
    for host_lengths in (False, True):
        plan = tower.plan(torch.tensor(batch), host_lengths=host_lengths)
        assert torch.equal(call(tower, batch, plan=plan), inside)


def test_lengths_on_the_host_are_lists_without_empty_windows() -> None:
    plan = tower_for(NARROW_2_5).plan(torch.tensor([[1, 16, 16]]), host_lengths=True)
    assert plan.windows is not None
    assert plan.windows.bounds == [0, 64, 128, 192, 256]
    assert plan.frames.bounds == [0, 256]
    assert isinstance(tower_for(NARROW_2_5).plan(torch.tensor([[1, 16, 16]])).frames.bounds, Tensor)


@families
def test_a_plan_serves_any_number_of_calls_and_is_not_written_into(config: VisionConfig) -> None:
    tower = new_tower(config, *best(config))
    plan = tower.plan(torch.tensor(MIXED))
    before = deepcopy(tensors_of(plan))
    first = call(tower, MIXED, plan=plan)
    call(tower, ((1, 2, 2),))  # the caches go on without it
    for cache in tower.caches().values():
        cache.clear()
    assert torch.equal(call(tower, MIXED, plan=plan), first)
    assert all(torch.equal(now, once) for now, once in zip(tensors_of(plan), before, strict=True))
    with pytest.raises(FrozenInstanceError):
        plan.inverse = None  # type: ignore[misc]


def test_a_plan_follows_the_weights_of_the_position_table() -> None:
    tower = new_tower(NARROW_3)
    plan = tower.plan(torch.tensor(MIXED))
    tower.pos_embed = deepcopy(tower.pos_embed)
    with torch.no_grad():
        tower.pos_embed.weight.mul_(2)
    assert torch.equal(call(tower, MIXED, plan=plan), call(tower, MIXED))


@families
def test_nothing_is_planned_in_the_call(config: VisionConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    tower = new_tower(config, *best(config))
    plan, inside = tower.plan(torch.tensor(MIXED)), call(tower, MIXED)
    monkeypatch.setattr(tower.planner, "forward", lambda *_: pytest.fail("planned"))
    assert torch.equal(call(tower, MIXED, plan=plan), inside)


def refusals() -> Iterator[tuple[str, OptimizedVisionTower, Tensor, Batch, str]]:
    tower, other = tower_for(NARROW_2_5), ((1, 4, 4),)
    pixels, grids = pixels_of(NARROW_2_5, MIXED), torch.tensor(MIXED)
    turned = torch.tensor([[t, w, h] for t, h, w in MIXED])
    yield "turned", tower, pixels, turned, "the grids of the plan: 1x10x6, 2x8x10, 1x8x8, 1x2x2, 1 more, and of this"
    yield "others", tower, pixels_of(NARROW_2_5, other), torch.tensor(other), "and of this call: 1x4x4; make one for it"
    yield "dtype", tower, pixels.bfloat16(), grids, "the dtype of the plan: torch.float32, and of this call: torch.bf"
    yield "device", tower, pixels.to("meta"), grids, "the device of the plan: cpu, and of this call: meta; make one"
    yield "grids there", tower, pixels, grids.to("meta"), "the grids beside a plan are on meta, where to compare them"
    flags = tower_for(NARROW_2_5, "host-seqlens")
    yield "flags", flags, pixels, grids, "qwen2.5-vl-narrow with no flags, and of this call: qwen2.5-vl-narrow with ho"
    yield "model", tower_for(NARROW_2), pixels, grids, "the tower of the plan: qwen2.5-vl-narrow with no flags, and of"
    yield "fewer", tower, pixels[:-4], grids, f"the grids hold {len(pixels)} patches, and the pixels {len(pixels) - 4}"
    yield "a list", tower, pixels, grids.tolist(), "the grids are a list; give a tensor [items, 3] of whole numbers"
    yield "flat", tower, pixels, grids.flatten(), f"the grids are [{grids.numel()}] of torch.int64; give a tensor"
    yield "floats", tower, pixels, grids.float(), "of torch.float32; give a tensor [items, 3] of whole numbers, with"
    deeper = replace(NARROW_2_5, depth=2)
    yield "configuration", tower_for(deeper), pixels, grids, "the tower of the plan: qwen2.5-vl-narrow with no flags"


@pytest.mark.parametrize("which", range(12), ids=[each[0] for each in refusals()])
def test_a_plan_of_another_call_is_refused_in_one_sentence(which: int) -> None:
    _, tower, pixels, grids, told = list(refusals())[which]
    plan = tower_for(NARROW_2_5).plan(torch.tensor(MIXED))
    with pytest.raises(PlanError) as refused:
        tower(pixels, grids, plan=plan)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_plan_that_does_not_say_what_it_is_for_is_refused() -> None:
    tower = tower_for(NARROW_2)
    with pytest.raises(PlanError, match=r"does not say what it was made for; make it by tower\.plan\(...\)"):
        call(tower, MIXED, plan=plan_of(tower, MIXED))


@pytest.mark.parametrize("plan", [{}, False, torch.ones(2)], ids=["dict", "False", "tensor"])
def test_what_is_no_plan_is_refused(plan: object) -> None:
    with pytest.raises(PlanError, match=rf"^the plan is a {type(plan).__name__}; make it by tower\.plan\(...\)$"):
        call(tower_for(NARROW_2), MIXED, plan=plan)


def test_a_plan_with_a_part_replaced_is_for_no_call() -> None:
    tower = tower_for(NARROW_2_5)
    plan = tower.plan(torch.tensor(MIXED))
    other = replace(plan, rope=tower.plan(torch.tensor([[1, 4, 4]])).rope)
    with pytest.raises(PlanError, match="does not say what it was made for"):
        call(tower, MIXED, plan=other)
    assert torch.equal(call(tower, MIXED, plan=deepcopy(plan)), call(tower, MIXED))


def test_there_is_no_plan_of_no_grids() -> None:
    with pytest.raises(PlanError, match=r"^the grids are \[0, 3\] of torch\.int64; give .* with an item at least$"):
        tower_for(NARROW_2).plan(torch.zeros(0, 3, dtype=torch.int64))


def test_a_tower_that_was_cast_refuses_the_plan_it_made_before() -> None:
    tower = new_tower(NARROW_2)
    plan = tower.plan(torch.tensor(MIXED))
    with pytest.raises(PlanError, match=r"of this call: torch\.bfloat16"):
        call(tower.bfloat16(), MIXED, plan=plan)


@pytest.mark.parametrize(
    ("flags", "host_lengths", "waits"),
    [("best", False, 0), ("baseline", False, None), ("baseline", True, 0), ("varlen", True, 0)],
)
@families
def test_a_forward_with_its_plan_handed_in_waits_for_nothing_and_uploads_nothing(
    config: VisionConfig, flags: str, host_lengths: bool, waits: int | None
) -> None:
    """With bounds on the device, a wait for each slice by one of them is left: six a segment."""
    with CountingDevice("ghost") as device, torch.inference_mode():
        weights = SharedTensors(
            {key: device.pixels(tuple(shape), torch.bfloat16) for key, shape in parameter_shapes(config).items()}
        )
        chosen = preset_flags(flags, config, "cuda")[0] if flags in PRESETS else {flags}
        tower = device.build(lambda: build_tower(config, chosen, weights, "cuda"))
        pixels = device.pixels((sum(t * h * w for t, h, w in MIXED), config.patch_dim), torch.bfloat16)
        plan = tower.plan(torch.tensor(MIXED), host_lengths=host_lengths)
        with device.count() as counter:
            tower(pixels, torch.tensor(MIXED), plan=plan)
    total = counter.report.total
    assert total.uploads + total.implicit_uploads == 0
    if waits is None:
        segments = [len(plan.frames.bounds) - 1, len((plan.windows or plan.frames).bounds) - 1]
        waits = 6 * sum(segments[not config.attends_fully(block)] for block in range(config.depth))
    assert total.host_syncs == waits
