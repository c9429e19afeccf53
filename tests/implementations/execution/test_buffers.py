"""Memory that does not move holds the batch that was laid in last, and nothing of those before it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings

from tests.implementations.execution.test_keys import CONFIGS, inputs, tower_of
from tests.implementations.grids import AWKWARD, Batch, batches
from tests.implementations.towers import NARROW_2_5
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.execution import buffers as module
from vlbench.implementations.execution.buffers import SHORT, Buffers
from vlbench.implementations.packing import Budgets, pack

BUDGET = 2048
BUDGETS = Budgets((BUDGET,))
BUDGETS_OF_TESTS = Budgets((64, 256, 1024, BUDGET))
SORTED = ("batched-windows", "window-sort")


def flags_for(config: VisionConfig) -> tuple[str, ...]:
    return SORTED if config.window_size else ()


def laid(config: VisionConfig, *several: Batch) -> Buffers:
    """The memory after these batches, the last of which is laid in last."""
    tower = tower_of(config, *flags_for(config))
    found = Buffers(config, *inputs(tower, several[0]), BUDGET, BUDGETS.frames(BUDGET))
    for batch in several:
        found.fill(*inputs(tower, batch))
    return found


@CONFIGS
@given(before=batches, batch=batches)
@settings(max_examples=3)
def test_no_row_of_a_former_batch_is_left(config: VisionConfig, before: Batch, batch: Batch) -> None:
    if any(len(pack(each, BUDGETS)) > 1 for each in (before, batch)):
        return
    if len({len(laid(config, each).tensors()) for each in (before, batch)}) > 1:
        return  # one of them gathers and the other does not: they share no memory
    fresh, used = laid(config, batch), laid(config, before, batch)
    for one, other in zip(fresh.tensors(), used.tensors(), strict=True):
        assert torch.equal(one, other)


@CONFIGS
def test_a_batch_stands_first_and_padding_after_it(config: VisionConfig) -> None:
    tower = tower_of(config)
    x, plan = inputs(tower, AWKWARD[8])
    found = laid(config, AWKWARD[4], AWKWARD[8])
    assert not found.x[len(x) :].any()
    bounds = list(plan.frames.bounds)
    assert found.frames.bounds[: len(bounds)] == bounds
    rest = found.frames.bounds[len(bounds) - 1 :]
    assert rest[-1] == BUDGET
    assert {stop - start for start, stop in pairwise(rest)} <= {SHORT, (BUDGET - len(x)) % SHORT}


@CONFIGS
@given(batch=batches)
@settings(max_examples=5)
def test_there_is_room_for_the_windows_of_whatever_fits(config: VisionConfig, batch: Batch) -> None:
    """And for few more: one stack took the number of tokens for the number of windows, and computed thousands."""
    if len(pack(batch, BUDGETS)) > 1:
        return
    found = laid(config, batch)
    if found.windows is not None:
        assert len(found.windows.buffer) <= BUDGETS.frames(BUDGET) + BUDGET // 16 + BUDGET // SHORT + 2


@pytest.mark.parametrize("size", [28, 56, 112, 168, 224])
def test_windows_of_any_size_have_room_and_are_no_longer_than_said(size: int) -> None:
    """Attention over segments of different lengths is undefined beyond the longest that it is told of."""
    config = replace(NARROW_2_5, window_size=size // 14 * NARROW_2_5.patch_size)
    tower = tower_of(config)
    for batch in (((1, 32, 32),), ((1, 20, 20), (1, 4, 12)), ((1, 2, 2),) * 4, ((2, 2, 34),), ((1, 36, 2),) * 3):
        patches = sum(t * h * w for t, h, w in batch)
        budget = BUDGETS_OF_TESTS.smallest(patches, sum(t for t, _, _ in batch))
        assert budget is not None
        found = Buffers(config, *inputs(tower, batch), budget, BUDGETS_OF_TESTS.frames(budget))
        found.fill(*inputs(tower, batch))
        assert found.windows is not None
        assert found.windows.longest is not None
        assert int(found.windows.buffer.diff().max()) <= found.windows.longest <= max(SHORT, size**2 // 14**2)


def test_too_many_segments_are_refused() -> None:
    x, plan = inputs(tower_of(NARROW_2_5), ((1, 2, 2),) * 8)
    with pytest.raises(ValueError, match=r"^9 segments, and there is room for 4$"):
        Buffers(NARROW_2_5, x, plan, 64, 3).fill(x, plan)


def test_memory_does_not_move() -> None:
    tower = tower_of(NARROW_2_5)
    found = Buffers(NARROW_2_5, *inputs(tower, ((1, 8, 8),)), BUDGET, 16)
    before = [tensor.data_ptr() for tensor in found.tensors()]
    for batch in (((1, 2, 2),), ((1, 16, 16), (2, 8, 8))):
        found.fill(*inputs(tower, batch))
    assert [tensor.data_ptr() for tensor in found.tensors()] == before


def test_padding_is_written_without_a_graph_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PADDING", float("nan"))
    found = laid(NARROW_2_5, AWKWARD[4], ((1, 2, 2),))
    assert found.x[4:].isnan().all()
    assert found.x[:4].isfinite().all()
