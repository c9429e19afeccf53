"""`compile`, without a compiler: what torch traces of a block is one graph, and new grids need no new one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tests.implementations.grids import AWKWARD, MIXED, Batch
from tests.implementations.optimized.exactness import BUDGET
from tests.implementations.towers import NARROW_2_5, NARROW_3, expected, name_of, relative_error, run, weights_of
from vlbench.implementations import build_tower
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.execution import compiled
from vlbench.implementations.optimized import OptimizedVisionTower, preset_flags

SEVERAL: tuple[Batch, ...] = (MIXED, ((1, 10, 14),), ((1, 36, 36),), ((3, 6, 10), (1, 18, 18)), ((1, 14, 30),))

CHOICES = [(NARROW_2_5, "best"), (NARROW_2_5, "baseline"), (NARROW_3, "best")]


class Counting:
    """Counts the graphs that it is given, and runs them as they are."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph: Any, inputs: Any) -> Any:
        self.graphs += 1
        return graph.forward


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counting]:
    torch._dynamo.reset()
    counting = Counting()
    monkeypatch.setattr(compiled, "BACKEND", counting)
    yield counting
    torch._dynamo.reset()


def tower_of(config: VisionConfig, *flags: str) -> OptimizedVisionTower:
    tower = build_tower(config, ["compile", *flags], weights_of(config))
    assert isinstance(tower, OptimizedVisionTower)
    return tower


def graphs_by_batch(tower: OptimizedVisionTower, backend: Counting) -> list[int]:
    """New graphs in each of several forwards on other grids, all of which give the reference's tokens."""
    found = []
    for batch in SEVERAL:
        before = backend.graphs
        assert relative_error(run(tower, tower.config, batch), expected(tower.config, batch)) <= BUDGET
        found.append(backend.graphs - before)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("config", "preset"), CHOICES, ids=name_of)
def test_blocks_are_traced_whole_and_no_other_grid_needs_a_new_graph(
    config: VisionConfig, preset: str, backend: Counting
) -> None:
    """A break would be an error, as nothing is compiled in part."""
    flags = preset_flags(preset, config, "cpu")[0]
    first, *others = graphs_by_batch(tower_of(config, *flags), backend)
    assert 3 <= first <= 5  # halves of blocks, where some gather and others do not, and mergers of two widths
    assert others == [0] * len(others)


def test_on_a_counting_device_attention_runs_as_it_is() -> None:
    """There nothing is compiled, which the count says."""
    from vlbench.counting_device import CountingDevice

    with CountingDevice("shadow") as device:
        shared = {key: device.upload(tensor) for key, tensor in weights_of(NARROW_2_5).items()}
        tower = build_tower(NARROW_2_5, ["compile", "host-seqlens"], type(weights_of(NARROW_2_5))(shared), "cuda")
        batch = AWKWARD[5]
        pixels = device.upload(torch.ones(sum(t * h * w for t, h, w in batch), NARROW_2_5.patch_dim))
        with torch.inference_mode(), device.count() as counter:
            tower(pixels, torch.tensor(batch))
    assert not counter.report.complete
    assert any("ran eagerly" in each for each in counter.report.not_measured)
