from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import Any

import pytest

from tests.implementations.towers import name_of
from vlbench.implementations.baseline import build_baseline
from vlbench.implementations.config import FAMILIES, MODELS, ConfigError, VisionConfig
from vlbench.implementations.optimized import OptimizedVisionTower
from vlbench.implementations.preprocessing import Preprocessing
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
        "preprocessing": {
            "patch_size": 14,
            "temporal_patch_size": 2,
            "merge_size": 2,
            "min_pixels": 3136,
            "max_pixels": 12845056,
            "mean": (0.48145466, 0.4578275, 0.40821073),
            "std": (0.26862954, 0.26130258, 0.27577711),
        },
        "in_channels": 3,
        "norm": "rms_norm" if has_windows else "layer_norm",
        "mlp": "gated" if has_windows else "two_linears",
        "activation": "silu" if has_windows else "quick_gelu",
        "patch_bias": False,
        "position_embedding": "rope",
        "position_table": 0,
        "deepstack_blocks": (),
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


PATCHES = Preprocessing(patch_size=16, min_pixels=65536, max_pixels=16777216, mean=(0.5,) * 3, std=(0.5,) * 3)
DEEP: dict[str, Any] = {"position_table": 2304, "deepstack_blocks": (8, 16, 24), "preprocessing": PATCHES}
QWEN3 = VisionConfig("qwen3-vl-8b", "qwen3_vl", 27, 1152, 16, 4304, 4096, **FAMILIES["qwen3_vl"], **DEEP)
QWEN2 = MODELS["qwen2-vl-tiny"]


def test_qwen3_vl_can_be_said() -> None:
    assert (QWEN3.norm, QWEN3.mlp, QWEN3.activation) == ("layer_norm", "two_linears", "gelu_tanh")
    assert (QWEN3.patch_bias, QWEN3.position_embedding, QWEN3.head_dim) == (True, "rope_and_learned", 72)
    assert QWEN3.window_size is None


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("family", "qwen9", "family is 'qwen9'; choose one of qwen2_vl, qwen2_5_vl, qwen3_vl"),
        ("norm", "batch_norm", "norm is 'batch_norm'; choose one of layer_norm, rms_norm"),
        ("mlp", "experts", "mlp is 'experts'; choose one of two_linears, gated"),
        ("activation", "relu", "activation is 'relu'; choose one of quick_gelu, gelu_tanh, silu"),
        ("position_embedding", None, "position_embedding is None; choose one of rope, rope_and_learned"),
        ("position_table", 7, "position_table is 7 where position_embedding is 'rope'"),
        ("deepstack_blocks", (1, 4), "deepstack_blocks has 4; choose from 0 to 3"),
    ],
)
def test_what_does_not_exist_is_refused_at_construction(field: str, value: object, sentence: str) -> None:
    changed: dict[str, Any] = {field: value}
    with pytest.raises(ConfigError, match=f"^qwen2-vl-tiny: {re.escape(sentence)}"):
        replace(QWEN2, **changed)


@pytest.mark.parametrize(
    "changes",
    [
        {"norm": "rms_norm"},
        {"mlp": "gated"},
        {"activation": "gelu_tanh"},
        {"patch_bias": True},
        {"position_embedding": "rope_and_learned", "position_table": 16},
        {"deepstack_blocks": (1,)},
        {"window_size": 112},
    ],
)
def test_the_reference_tower_refuses_what_it_does_not_compute(changes: dict[str, Any]) -> None:
    field = next(iter(changes))
    with pytest.raises(ConfigError, match=rf"^qwen2-vl-tiny: {field} is .*, and the reference tower of qwen2_vl has"):
        build_baseline(replace(QWEN2, **changes))


def test_the_optimized_tower_refuses_what_it_does_not_compute() -> None:
    with pytest.raises(ConfigError, match=r"^qwen3-vl-8b: position_embedding is 'rope_and_learned', and the optimized"):
        OptimizedVisionTower(QWEN3)
    with pytest.raises(ConfigError, match=r"^qwen3-vl-8b: deepstack_blocks is \(8, 16, 24\), and the optimized"):
        OptimizedVisionTower(replace(QWEN3, position_embedding="rope", position_table=0))


def test_a_family_without_a_file_has_no_reference_tower() -> None:
    with pytest.raises(ConfigError, match="qwen3-vl-8b: there is no reference tower of qwen3_vl; choose another model"):
        build_baseline(QWEN3)


def test_a_windowed_model_needs_windows() -> None:
    with pytest.raises(ConfigError, match="has no attention windows"):
        build_baseline(replace(MODELS["qwen2.5-vl-tiny"], window_size=None))
