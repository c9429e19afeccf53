"""A simulation of serving: by hand where it can be, and against what a tower keeps."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch

from vlbench.errors import UsageError
from vlbench.implementations import build_tower
from vlbench.implementations.config import MODELS
from vlbench.implementations.optimized import OptimizedVisionTower
from vlbench.implementations.packing import Budgets
from vlbench.implementations.weights import random_weights
from vlbench.workload.library import load_scenario
from vlbench.workload.mix import draw_items
from vlbench.workload.scenario import Mix
from vlbench.workload.serving import (
    LANGUAGE_MODELS,
    Encoder,
    Lru,
    Served,
    Traffic,
    admitted,
    conversing,
    embedding_bytes,
    graph_bytes,
    kv_bytes_of,
    serve,
)

ONE_SIZE = """{"credit": "made up", "image_count": {"2": 1}, "image_tokens": {"16": 1}, "grids": {"16": "8x8"}}"""


@pytest.fixture
def mix(tmp_path: Path) -> Mix:
    """Two images of 16 tokens a request, two requests waiting, and two images to a call."""
    (tmp_path / "one.json").write_text(ONE_SIZE)
    return Mix(requests=2, token_budget=32, distribution=str(tmp_path / "one.json"))


def production(scenario: str, waiting: int = 0) -> Mix:
    found = load_scenario(scenario).points("cuda")[waiting].mix
    assert found is not None
    return found


def test_by_hand(mix: Mix) -> None:
    encoder = Encoder(cache_bytes=100, token_bytes=1, budgets=Budgets((96, 256)))
    served = serve(Traffic(mix, requests=5), encoder)
    assert (served.requests, served.images, served.found) == (5, 10, 0)
    assert (served.calls, served.patches) == (5, 10 * 64)
    assert (served.forwards, served.padding, served.without, served.sizes) == (5, 5 * 128, 0, {256})
    assert served.padding_share == 0.5
    assert (served.captured, served.exact_hit_rate, served.replays_per_capture) == (1, 0.8, 4)
    assert served.replays_per_size == 4
    assert served.cache_bytes == 96  # six images of 16 bytes


def test_what_no_graph_has_room_for(mix: Mix) -> None:
    served = serve(Traffic(mix, requests=2), Encoder(100, 1, Budgets((32,))))
    assert (served.forwards, served.without, served.padding) == (4, 4, 0)
    assert served.replays_per_size is served.padding_share is None


def test_padding_is_of_what_graphs_compute(mix: Mix) -> None:
    """Two images of 64 patches a call: one graph of 256 is half padding; where a third is the most, none takes it."""
    served = serve(Traffic(mix, requests=1), Encoder(100, 1, Budgets((64, 256), most_padding=0.5)))
    assert (served.in_graphs, served.padding, served.padding_share) == (128, 128, 0.5)
    served = serve(Traffic(mix, requests=1), Encoder(100, 1, Budgets((64, 256), most_padding=1 / 3)))
    assert (served.without, served.in_graphs, served.padding_share) == (1, 0, None)


def test_a_conversation_sends_its_images_again(mix: Mix) -> None:
    large, none = Encoder(10**9, 1), Encoder(0, 1)
    traffic = Traffic(mix, requests=4000, turns=4, conversations=8)
    assert serve(traffic, large).hit_rate == pytest.approx(1 - 1 / 4, abs=0.02)
    assert serve(Traffic(mix, requests=4000), large).found == 0
    within_a_step = serve(traffic, none)
    assert 0 < within_a_step.found < 0.1 * within_a_step.images  # the same conversation twice at once
    assert within_a_step.cache_bytes == 0


def test_a_larger_cache_finds_no_less() -> None:
    traffic = Traffic(production("serving-mix", 1), requests=600, turns=3, conversations=32)
    rates = [serve(traffic, Encoder(size, 7168)).hit_rate or 0 for size in (0, 10**7, 10**8, 10**9)]
    assert rates == sorted(rates)
    assert rates[0] < 0.1 < rates[-1]


def test_the_first_requests_are_those_of_the_scenario() -> None:
    """A simulation and a run draw the same traffic."""
    mix = production("serving-mix", 2)
    grids = [f"{h}x{w}" for request in islice(conversing(Traffic(mix, 16)), 16) for _, (_, h, w) in request]
    drawn = [item.grid for item in draw_items(mix, 0)]
    assert grids[: len(drawn)] == drawn


def test_one_tenant_repeats_layouts_as_a_pool_does_not() -> None:
    one, pool = (
        serve(Traffic(production(name), requests=500), Encoder(0, 1)).exact_hit_rate
        for name in ("serving-one-tenant", "serving-mix")
    )
    assert one is not None
    assert pool is not None
    assert one > 0.98 > 0.7 > pool


def test_the_same_seed_is_the_same_traffic() -> None:
    mix = production("serving-mix")
    one, same, other = (serve(Traffic(mix, 200, turns=2, seed=seed), Encoder(10**9, 7168)) for seed in (3, 3, 4))
    assert one == same != other


def test_what_is_used_last_stays() -> None:
    kept = Lru(2)
    kept.keep("a", 1)
    kept.keep("b", 1)
    assert kept.found("a")
    kept.keep("c", 1)
    kept.keep("too large", 3)
    assert [kept.found(key) for key in ("a", "b", "c", "too large")] == [True, False, True, False]
    assert kept.held == 2


def test_an_image_above_the_budget_of_a_step_is_a_call_of_its_own() -> None:
    assert list(admitted([(1, 2, 2), (1, 8, 8), (1, 2, 2)], 4)) == [[(1, 2, 2)], [(1, 8, 8)], [(1, 2, 2)]]
    assert list(admitted([], 4)) == []


def test_nothing_comes_of_nothing() -> None:
    nothing = Served()
    assert nothing.hit_rate is nothing.padding_share is nothing.exact_hit_rate is nothing.replays_per_capture is None


def test_tokens_of_the_kv_cache() -> None:
    assert kv_bytes_of("qwen2.5-vl-7b") == 57_344
    assert kv_bytes_of("qwen3-vl-8b") == 147_456
    assert LANGUAGE_MODELS.keys() <= MODELS.keys()
    with pytest.raises(UsageError, match=r"KV cache of qwen3.5-9b is, is not known here; give --kv-bytes$"):
        kv_bytes_of("qwen3.5-9b")


@pytest.mark.parametrize("model", ["qwen2.5-vl-tiny", "qwen3-vl-tiny"])
def test_memory_of_a_graph_is_what_a_tower_keeps(model: str) -> None:
    """But for the boundaries of segments, and orders."""
    config = MODELS[model]
    flags = ["host-seqlens", "graph-budget", "rope-shared"]
    tower = build_tower(config, flags, random_weights(config, dtype=torch.bfloat16))
    assert isinstance(tower, OptimizedVisionTower)
    with torch.no_grad():
        tower(torch.ones(1024, config.patch_dim, dtype=torch.bfloat16), torch.tensor([[1, 32, 32]]))
    assert tower.caches()["graphs"].bytes == pytest.approx(graph_bytes(config, 1024), rel=0.02)
    assert embedding_bytes(config) == 256 * 2 * (3 if config.deepstack_blocks else 1)
