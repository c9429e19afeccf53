"""Presets of published systems: right for every family, named apart from ours, and counted at the size of 7B."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from results.count_flags import count_deep
from tests.implementations.grids import MIXED
from tests.implementations.optimized.exactness import BUDGET, NEEDS_CUDA, tower_with
from tests.implementations.towers import NARROW, NARROW_2_5, expected, reference_tower, relative_error, run, weights_of
from vlbench.counting_device import CountingDevice
from vlbench.implementations import build_tower
from vlbench.implementations.config import MODELS, VisionConfig
from vlbench.implementations.optimized import PRESETS, USUAL, preset_flags
from vlbench.towers.variants import default_variants

SYSTEMS = [name for name in PRESETS if name not in USUAL]
HALF = torch.bfloat16
FAMILIES = [
    pytest.param(each, marks=pytest.mark.slow if each is not NARROW_2_5 else (), id=each.name) for each in NARROW
]
QWEN = MODELS["qwen2.5-vl-7b"]


def test_each_says_of_what_release_it_is_and_what_it_cannot_show() -> None:
    assert {"transformers-5.23", "vllm-0.33", "sglang-0.5.23", "trtllm-11943"} <= {*SYSTEMS}
    for name in SYSTEMS:
        preset = PRESETS[name]
        assert "202" in preset.source
        assert preset.summary.startswith(preset.source)
        assert len(preset.lacks) > 20
        assert preset.usual("cuda")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_none_is_a_row_unless_it_is_named(device: str) -> None:
    assert not {*SYSTEMS} & {variant.name for variant in default_variants(NARROW_2_5, device)[0]}


@pytest.mark.parametrize("config", FAMILIES)
@pytest.mark.parametrize("name", SYSTEMS)
def test_its_results_are_the_references(config: VisionConfig, name: str) -> None:
    """In fp32 none of their flags rounds anything; in bf16 rounded cos and sin come on top."""
    flags = preset_flags(name, config, "cuda")[0] - (set() if torch.cuda.is_available() else NEEDS_CUDA)
    assert relative_error(run(tower_with(flags, config), config, MIXED), expected(config, MIXED)) <= BUDGET
    half = build_tower(config, flags, weights_of(config, HALF), "cuda")
    own = relative_error(run(reference_tower(config, HALF), config, MIXED), expected(config, MIXED))
    assert relative_error(run(half, config, MIXED), expected(config, MIXED)) < 3 * own


@pytest.fixture(scope="module")
def device() -> Iterator[CountingDevice]:
    with CountingDevice("ghost") as opened:
        yield opened


COUNTED = {
    "transformers-5.23": (2147, 704, 12, 2),
    "vllm-2025-03": (1720, 32, 46, 3),
    "vllm-0.33": (433, 32, 0, 4),
    "sglang-2025-09": (1598, 32, 14, 3),
    "sglang-0.5.23": (897, 32, 15, 3),
    "trtllm-11943": (434, 32, 0, 3),
}
"""Operations, attention calls, waits and uploads of the second forward on one picture."""


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_what_it_asks_of_a_gpu_at_7b(name: str, device: CountingDevice) -> None:
    found = count_deep(preset_flags(name, QWEN, "cuda")[0], ((1, 36, 36),), device)
    counters = ("device_operations", "attention_calls", "host_syncs", "uploads")
    assert tuple(found[each] for each in counters) == COUNTED[name]
