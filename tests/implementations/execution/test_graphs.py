"""Graphs on a runner without CUDA: the right graph is replayed, in memory that does not move."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import pytest
import torch
from hypothesis import given, settings

from tests.implementations.execution.test_keys import CONFIGS, EQUAL_TOKENS, boundaries, tower_of
from tests.implementations.grids import AWKWARD, MIXED, Batch, batches
from tests.implementations.optimized.exactness import BUDGET
from tests.implementations.towers import NARROW_2, NARROW_2_5, expected, pixels_of, relative_error, run, weights_of
from vlbench.counting.sequence import sequences_of
from vlbench.counting_device import CountingDevice
from vlbench.counting_device.ordered import OrderedRecord
from vlbench.implementations import build_tower
from vlbench.implementations.config import MODELS, VisionConfig
from vlbench.implementations.execution.graphs import Graph, GraphExact
from vlbench.implementations.execution.runners import EagerRunner, Function, runner_for
from vlbench.implementations.optimized import FlagError, FlagSet, OptimizedVisionTower, preset_flags
from vlbench.implementations.stage import listen
from vlbench.implementations.weights import SharedTensors, parameter_shapes
from vlbench.record.counts import Counts
from vlbench.record.sequence import Kind


def graphs_of(tower: OptimizedVisionTower) -> list[Graph]:
    assert isinstance(tower.execution, GraphExact)
    return [graph for graph, _ in tower.execution.graphs._entries.values()]


@CONFIGS
@given(several=batches, last=batches)
@settings(max_examples=2)
def test_a_replay_is_the_reference_to_the_last_bit(config: VisionConfig, several: Batch, last: Batch) -> None:
    tower = tower_of(config)
    for batch in (several, last, several, last):
        assert torch.equal(run(tower, config, batch), expected(config, batch))


@CONFIGS
def test_each_layout_has_a_graph_and_equal_tokens_do_not_share_one(config: VisionConfig) -> None:
    """One stack knew graphs by their number of tokens, and replayed the boundaries of another batch."""
    tower = tower_of(config)
    for _ in range(2):
        for batch in EQUAL_TOKENS:
            assert torch.equal(run(tower, config, batch), expected(config, batch))
    layouts = {str(boundaries(tower, batch)) for batch in EQUAL_TOKENS}
    graphs = tower.caches()["graphs"]
    assert len(graphs) == graphs.misses == len(layouts)
    assert graphs.hits == 2 * len(EQUAL_TOKENS) - len(layouts)


def test_memory_of_a_graph_does_not_move_when_a_larger_one_is_captured() -> None:
    """One stack let graphs share a workspace, which moved when it grew."""
    tower = tower_of(NARROW_2_5)
    small = run(tower, NARROW_2_5, AWKWARD[0])
    (first,) = graphs_of(tower)
    before = [tensor.data_ptr() for tensor in first.tensors()]
    run(tower, NARROW_2_5, AWKWARD[4])
    assert len(graphs_of(tower)) == 2
    assert torch.equal(run(tower, NARROW_2_5, AWKWARD[0]), small)
    assert [tensor.data_ptr() for tensor in first.tensors()] == before


def test_results_are_not_written_over_by_the_next_replay() -> None:
    tower = tower_of(NARROW_2)
    with torch.no_grad():
        grids, rows = torch.tensor([[1, 4, 4]]), torch.randn(2, 16, NARROW_2.patch_dim)
        first = tower(rows[0], grids)
        kept = first.clone()
        tower(rows[1], grids)
    assert torch.equal(first, kept)


MODES = {"inference": torch.inference_mode, "no_grad": torch.no_grad, "gradients": torch.enable_grad}


@pytest.mark.parametrize("flag", ["graph-exact", "graph-budget"])
@pytest.mark.parametrize(("first", "then"), [*permutations(MODES, 2)])
def test_what_is_captured_in_one_mode_is_replayed_in_another(flag: str, first: str, then: str) -> None:
    flags = ("host-seqlens", flag, "rope-cache", "batched-windows", "window-sort")
    tower = build_tower(NARROW_2_5, flags, weights_of(NARROW_2_5))
    pixels, grids = pixels_of(NARROW_2_5, MIXED), torch.tensor(MIXED)
    for mode in (first, then, first):
        with MODES[mode]():
            tokens = tower(pixels, grids)
        assert relative_error(tokens, expected(NARROW_2_5, MIXED)) <= BUDGET
    assert isinstance(tower, OptimizedVisionTower)
    graphs = tower.caches()["graphs"]
    assert (graphs.misses, graphs.hits) == (1, 2)


def test_moving_a_tower_forgets_its_graphs() -> None:
    tower = tower_of(NARROW_2)
    run(tower, NARROW_2, AWKWARD[0])
    assert len(tower.caches()["graphs"]) == 1
    tower.to(torch.float64)
    assert len(tower.caches()["graphs"]) == 0


def test_a_graph_reads_the_weights_of_today() -> None:
    tower = tower_of(NARROW_2).double()
    before = run(tower, NARROW_2, AWKWARD[3])
    with torch.no_grad():
        tower.blocks[0].attn.proj.weight.mul_(2)
    assert not torch.equal(run(tower, NARROW_2, AWKWARD[3]), before)


def test_an_eager_replay_reads_what_is_there_and_answers_in_the_same_memory() -> None:
    given_ = torch.ones(3)
    replay: Function = EagerRunner().capture(lambda: [given_ * 2])
    (first,) = replay()
    given_.fill_(4)
    (second,) = replay()
    assert first is second
    assert second.tolist() == [8, 8, 8]


def test_there_are_captures_on_cuda_alone() -> None:
    assert not runner_for(torch.device("cpu")).is_fixed
    with CountingDevice("ghost"):
        assert not runner_for(torch.device("cuda")).is_fixed  # it only says that it is CUDA


def test_what_a_gpu_would_replay_is_marked_where_it_is_counted(device: CountingDevice) -> None:
    given_ = device.pixels((3,), torch.bfloat16)
    replay: Function = EagerRunner().capture(lambda: [given_ * 2])
    with device.count(heard := OrderedRecord()) as counter, listen(counter):
        given_.neg_()
        replay()
        given_.neg_()
    asked = [(event.operation, event.replayed) for event in heard.events if event.kind is Kind.OPERATION]
    assert asked == [("aten::neg_", False), ("aten::mul", True), ("aten::copy_", True), ("aten::neg_", False)]


@pytest.mark.slow
@pytest.mark.parametrize("flag", ["graph-exact", "graph-budget"])
def test_what_is_replayed_are_blocks_and_mergers(flag: str) -> None:
    events = sequences_of(f"qwen2.5-vl-tiny+best+{flag}", [(1, 16, 16)]).warm
    inside = [event for event in events if event.replayed]
    assert {event.stage.partition("[")[0] for event in inside} >= {"block", "merger"}
    assert not any(event.blocking for event in inside)
    outside = {event.stage for event in events if not event.replayed}
    assert outside >= {"patch_embed", "replay"}
    assert not [stage for stage in outside if stage.startswith(("block", "merger"))]


@pytest.mark.parametrize("flag", ["graph-exact", "graph-budget"])
def test_graphs_need_bounds_on_the_host(flag: str) -> None:
    with pytest.raises(FlagError, match=f"^{flag} needs host-seqlens; add it: host-seqlens.{flag}$"):
        FlagSet(frozenset({flag}), NARROW_2, "cpu")


# What is captured asks nothing of the host.


@pytest.fixture(scope="module")
def device() -> Iterator[CountingDevice]:
    with CountingDevice("ghost") as opened:
        yield opened


class Counted(EagerRunner):
    """Counts what it captures."""

    def __init__(self, device: CountingDevice) -> None:
        self.device = device
        self.reports: list[Counts] = []

    def capture(self, function: Function) -> Function:
        with self.device.count() as counter:
            function()
        self.reports.append(counter.report)
        return super().capture(function)


@pytest.mark.parametrize("flag", ["graph-exact", "graph-budget"])
@pytest.mark.parametrize("model", ["qwen2.5-vl-tiny", pytest.param("qwen3-vl-tiny", marks=pytest.mark.slow)])
def test_what_is_captured_asks_nothing_of_the_host(device: CountingDevice, flag: str, model: str) -> None:
    config = MODELS[model]
    shapes = parameter_shapes(config)
    weights = SharedTensors({key: device.pixels(tuple(shape), torch.bfloat16) for key, shape in shapes.items()})
    flags = preset_flags("best", config, "cuda")[0] | {flag}
    tower = device.build(lambda: build_tower(config, flags, weights, "cuda"))
    tower.execution.runner = runner = Counted(device)
    pixels = device.pixels((sum(t * h * w for t, h, w in MIXED), config.patch_dim), torch.bfloat16)
    with torch.inference_mode():
        tower(pixels, torch.tensor(MIXED))
    (report,) = runner.reports
    total = report.total
    assert report.complete
    assert total.device_operations > 20
    assert (total.host_syncs, total.uploads, total.implicit_uploads, total.pinned_uploads) == (0, 0, 0, 0)
