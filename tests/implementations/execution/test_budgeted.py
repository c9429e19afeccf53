"""Random batches, packed into graphs of a few sizes with NaN in every padded place, are the unpadded forward."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings, strategies as st

from tests.implementations.execution.test_graphs import graphs_of
from tests.implementations.execution.test_keys import EQUAL_TOKENS
from tests.implementations.grids import AWKWARD, MIXED, Batch, batches
from tests.implementations.optimized.exactness import BUDGET
from tests.implementations.towers import (
    NARROW,
    NARROW_2,
    NARROW_2_5,
    NARROW_3,
    expected,
    joined,
    name_of,
    pixels_of,
    relative_error,
    run,
    weights_of,
)
from vlbench.implementations import build_tower
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.execution import buffers
from vlbench.implementations.execution.budgeted import GraphBudget
from vlbench.implementations.optimized import OptimizedVisionTower
from vlbench.implementations.packing import Budgets, pack

SIZES = (64, 256, 1024)
SLOW = (NARROW_2, NARROW_3)
SOME_CONFIGS = [pytest.param(each, marks=pytest.mark.slow if each in SLOW else ()) for each in NARROW]
"""The others have what these have."""


def tower_of(
    config: VisionConfig, *flags: str, budgets: Budgets | None = None
) -> tuple[OptimizedVisionTower, GraphBudget]:
    tower = build_tower(config, ["host-seqlens", "graph-budget", *flags], weights_of(config))
    assert isinstance(tower, OptimizedVisionTower)
    assert isinstance(tower.execution, GraphBudget)
    tower.execution.budgets = budgets or Budgets(SIZES)
    return tower, tower.execution


@pytest.fixture(autouse=True)
def nan_in_every_padded_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "PADDING", float("nan"))


def check(tower: OptimizedVisionTower, config: VisionConfig, batch: Batch) -> None:
    tokens = run(tower, config, batch)
    assert tokens.isfinite().all()
    assert relative_error(tokens, expected(config, batch)) <= BUDGET, batch


@pytest.mark.parametrize("config", SOME_CONFIGS, ids=name_of)
@given(several=st.lists(batches, min_size=1, max_size=3))
@settings(max_examples=3)
@pytest.mark.filterwarnings("ignore:graph-budget")
def test_random_batches_one_after_the_other(config: VisionConfig, several: list[Batch]) -> None:
    tower, _ = tower_of(config)
    for batch in several:
        check(tower, config, batch)


@pytest.mark.parametrize(
    "flags", [("batched-windows",), ("batched-windows", "window-sort"), ("rope-cache", "no-einops")]
)
def test_the_attention_of_the_tower_is_the_graphs(flags: tuple[str, ...]) -> None:
    tower, _ = tower_of(NARROW_2_5, *flags)
    for batch in (MIXED, ((1, 8, 8),), MIXED):
        check(tower, NARROW_2_5, batch)


def test_batches_of_one_size_share_a_graph_and_not_their_boundaries() -> None:
    tower, execution = tower_of(NARROW_2_5)
    for batch in EQUAL_TOKENS:
        check(tower, NARROW_2_5, batch)
    graphs = execution.graphs
    assert (len(graphs), graphs.misses, graphs.hits) == (1, 1, len(EQUAL_TOKENS) - 1)
    assert (execution.patches, execution.padding) == (64 * len(EQUAL_TOKENS), 0)


def test_what_padding_costs_is_counted() -> None:
    tower, execution = tower_of(NARROW_2)
    check(tower, NARROW_2, ((1, 6, 8),))
    assert (execution.patches, execution.padding, execution.without) == (48, 16, 0)


def test_a_batch_above_the_largest_graph_takes_several_forwards() -> None:
    tower, execution = tower_of(NARROW_2_5, budgets=Budgets((64, 256)))
    batch: Batch = ((4, 8, 10), (1, 16, 14), (1, 2, 2))
    packs = pack(batch, execution.budgets)
    assert len(packs) > 1
    assert any(piece.stop - piece.start < batch[piece.item][0] for one in packs for piece in one.pieces)
    check(tower, NARROW_2_5, batch)
    assert execution.patches == sum(t * h * w for t, h, w in batch)


def test_what_no_graph_has_room_for_is_said_and_counted() -> None:
    """One stack ran items above its largest graph eagerly, and nobody knew."""
    tower, execution = tower_of(NARROW_2, budgets=Budgets((64,)))
    with pytest.warns(UserWarning, match=r"^graph-budget: 256 patches run without a graph$"):
        check(tower, NARROW_2, ((1, 16, 16), (1, 2, 2)))
    assert (execution.without, execution.patches) == (1, 4)


def test_memory_of_a_graph_does_not_move_when_a_larger_one_is_captured() -> None:
    tower, _ = tower_of(NARROW_2_5)
    check(tower, NARROW_2_5, ((1, 2, 2),))
    (first,) = graphs_of(tower)
    before = [tensor.data_ptr() for tensor in first.tensors()]
    for batch in (((1, 16, 16),), ((1, 20, 20),), ((1, 2, 2),)):
        check(tower, NARROW_2_5, batch)
    assert len(graphs_of(tower)) == 3
    assert [tensor.data_ptr() for tensor in first.tensors()] == before


def test_a_plan_that_is_handed_in_is_used() -> None:
    tower, execution = tower_of(NARROW_2_5)
    grids, pixels = torch.tensor(MIXED), pixels_of(NARROW_2_5, MIXED)
    plan = tower.planned(grids, torch.device("cpu"))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        tokens, _ = execution(tower, pixels, grids, plan)
    assert relative_error(joined(tokens), expected(NARROW_2_5, MIXED)) <= BUDGET
    assert execution.without == 0


def test_a_plan_of_what_takes_several_forwards_runs_without_a_graph() -> None:
    tower, execution = tower_of(NARROW_2_5, budgets=Budgets((64,)))
    grids = torch.tensor(MIXED)
    plan = tower.planned(grids, torch.device("cpu"))
    with torch.no_grad(), pytest.warns(UserWarning, match="run without a graph"):
        tokens, _ = execution(tower, pixels_of(NARROW_2_5, MIXED), grids, plan)
    assert torch.equal(tokens, expected(NARROW_2_5, MIXED))
    assert execution.without == 1


@pytest.mark.parametrize("side", [1, *(pytest.param(side, marks=pytest.mark.slow) for side in (2, 6, 8))])
def test_windows_of_other_sizes(side: int) -> None:
    config = replace(NARROW_2_5, window_size=side * 4)
    tower, execution = tower_of(config)
    for batch in (MIXED, ((1, 32, 32),)):
        check(tower, config, batch)
    assert execution.without == 0


@pytest.mark.parametrize("config", SOME_CONFIGS, ids=name_of)
def test_awkward_batches_at_the_usual_sizes(config: VisionConfig) -> None:
    tower, execution = tower_of(config, budgets=Budgets())
    for batch in AWKWARD:
        check(tower, config, batch)
    assert execution.without == 0
