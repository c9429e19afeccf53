from __future__ import annotations

from dataclasses import asdict

import pytest

from tests.implementations.towers import name_of
from vlbench.implementations.config import MODELS, VisionConfig
from vlbench.implementations.weights import parameter_shapes

# Width inside the MLP, width of the output, millions of parameters: the released checkpoints' own figures.
RELEASED = {
    "qwen2-vl-2b": (5120, 1536, 665),
    "qwen2-vl-7b": (5120, 3584, 676),
    "qwen2-vl-72b": (5120, 8192, 699),
    "qwen2.5-vl-3b": (3420, 2048, 669),
    "qwen2.5-vl-7b": (3420, 3584, 677),
    "qwen2.5-vl-32b": (3456, 5120, 689),
    "qwen2.5-vl-72b": (3456, 8192, 705),
}


def test_every_released_size_is_pinned_here() -> None:
    assert {name for name in MODELS if not name.endswith("-tiny")} == RELEASED.keys()


@pytest.mark.parametrize("name", RELEASED)
def test_a_released_size_has_its_checkpoints_values(name: str) -> None:
    intermediate_size, out_hidden_size, _ = RELEASED[name]
    has_windows = name.startswith("qwen2.5")
    assert asdict(MODELS[name]) == {
        "name": name,
        "family": "qwen2_5_vl" if has_windows else "qwen2_vl",
        "depth": 32,
        "hidden_size": 1280,
        "num_heads": 16,
        "intermediate_size": intermediate_size,
        "out_hidden_size": out_hidden_size,
        "fullatt_block_indexes": (7, 15, 23, 31) if has_windows else (),
        "window_size": 112 if has_windows else None,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "spatial_merge_size": 2,
        "in_channels": 3,
    }


@pytest.mark.parametrize("name", RELEASED)
def test_a_released_size_has_its_checkpoints_parameter_count(name: str) -> None:
    parameters = sum(shape.numel() for shape in parameter_shapes(MODELS[name]).values())
    assert round(parameters / 1e6) == RELEASED[name][2]


@pytest.mark.parametrize("config", MODELS.values(), ids=name_of)
def test_derived_sizes(config: VisionConfig) -> None:
    assert config.head_dim == 80
    assert config.merge_unit == 4
    assert config.patch_dim == 3 * 2 * 14 * 14


def test_which_blocks_attend_fully() -> None:
    def full(name: str) -> list[int]:
        return [block for block in range(MODELS[name].depth) if MODELS[name].attends_fully(block)]

    assert full("qwen2.5-vl-7b") == [7, 15, 23, 31]
    assert full("qwen2-vl-7b") == list(range(32))


def test_a_window_is_four_cells_wide_and_qwen2_has_none() -> None:
    assert MODELS["qwen2.5-vl-7b"].window_cells == 4
    with pytest.raises(ValueError, match="qwen2-vl-7b has no attention windows"):
        _ = MODELS["qwen2-vl-7b"].window_cells
