"""A benchmark as most projects have one: pytest-benchmark times the tower of the copy that `BENCHED` names."""

from __future__ import annotations

import os

import torch
from pytest_benchmark.fixture import BenchmarkFixture

from tests.gating.regressions.copies import tower_of
from vlbench.towers.resolve import resolve_tower
from vlbench.workload.batch import build_batch
from vlbench.workload.library import load_scenario


def test_tower(benchmark: BenchmarkFixture) -> None:
    torch.set_num_threads(1)
    found = resolve_tower(tower_of(os.environ["BENCHED"]))
    tower = found.build(torch.device("cpu"), torch.float32)
    (point, *_) = load_scenario("multi-image").points("cpu")
    batch = build_batch(point, seed=0, fed=found.fed)
    with torch.inference_mode():
        benchmark(tower, batch.pixels, batch.grid_thw)
