"""What the positions of one request cost on the host, naive and by NumPy: text, a picture, a video, a mixed batch."""

from __future__ import annotations

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from vlbench.implementations.config import MODELS
from vlbench.implementations.prompt.mrope import RULES, Request, mrope
from vlbench.workload.prompts import PROMPTS, prompt_ids
from vlbench.workload.seam_case import Setting

CONFIG = MODELS["qwen2.5-vl-7b"]
WAYS: dict[str, tuple[str, ...]] = {"naive": (), "mrope-numpy": ("mrope-numpy",)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PROMPTS)
def test_positions_of_a_request(benchmark: BenchmarkFixture, name: str, way: str) -> None:
    prompts = PROMPTS[name]
    rule, draw = prompts.rule or RULES[CONFIG.family], torch.Generator().manual_seed(0)
    setting = Setting(CONFIG, torch.float32, torch.device("cpu"), draw)
    requests = [Request(prompt_ids(each, rule, setting, expanded=True), each.items) for each in prompts.requests]
    positions, deltas = benchmark(mrope.way_of(WAYS[way]), requests, rule)
    assert positions.shape == (3, sum(len(each.ids) for each in requests))
    assert len(deltas) == len(requests)
    if benchmark.stats is not None:
        benchmark.extra_info["us_per_request"] = 1e6 * benchmark.stats.stats.median / len(requests)
