from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import Any

import pytest

from tests.implementations.towers import name_of
from vlbench.implementations.baseline import build_baseline
from vlbench.implementations.config import MODELS, UNCONFIRMED, ConfigError, VisionConfig
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
    "qwen3-vl-2b": (4096, 2048, 407),
    "qwen3-vl-4b": (4096, 2560, 415),
    "qwen3-vl-8b": (4304, 4096, 576),
    "qwen3-vl-32b": (4304, 5120, 595),
    "qwen3-vl-30b-a3b": (4304, 2048, 539),
    "qwen3-vl-235b-a22b": (4304, 4096, 576),
    "qwen3.5-0.8b": (3072, 1024, 101),
    "qwen3.5-2b": (4096, 2048, 331),
    "qwen3.5-4b": (4096, 2560, 334),
    "qwen3.5-9b": (4304, 4096, 456),
    "qwen3.5-27b": (4304, 5120, 461),
    "qwen3.8-27b": (4304, 5120, 461),
}
QWEN3 = [name for name in RELEASED if name.startswith("qwen3")]


def test_every_released_size_is_pinned_here() -> None:
    assert {name for name in MODELS if not name.endswith("-tiny")} == RELEASED.keys()


@pytest.mark.parametrize("name", [name for name in RELEASED if name not in QWEN3])
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
            "video_pixels": None,
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


@pytest.mark.parametrize("name", QWEN3)
def test_a_released_size_of_qwen3_has_its_checkpoints_values(name: str) -> None:
    intermediate_size, out_hidden_size, _ = RELEASED[name]
    has_deepstack = name.startswith("qwen3-vl")
    depth, width, heads = {3072: (12, 768, 12), 4096: (24, 1024, 16), 4304: (27, 1152, 16)}[intermediate_size]
    assert asdict(MODELS[name]) == {
        "name": name,
        "family": "qwen3_vl" if has_deepstack else "qwen3_5",
        "depth": depth,
        "hidden_size": width,
        "num_heads": heads,
        "intermediate_size": intermediate_size,
        "out_hidden_size": out_hidden_size,
        "fullatt_block_indexes": (),
        "window_size": None,
        "preprocessing": {
            "patch_size": 16,
            "temporal_patch_size": 2,
            "merge_size": 2,
            "min_pixels": 65536,
            "max_pixels": 16777216,
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
            "video_pixels": (4096, 25165824),
        },
        "in_channels": 3,
        "norm": "layer_norm",
        "mlp": "two_linears",
        "activation": "gelu_tanh",
        "patch_bias": True,
        "position_embedding": "rope_and_learned",
        "position_table": 2304,
        "deepstack_blocks": {24: (5, 11, 17), 27: (8, 16, 24)}[depth] if has_deepstack else (),
    }


def test_sizes_that_nobody_confirmed_are_among_the_released_ones() -> None:
    assert UNCONFIRMED.keys() < RELEASED.keys()


@pytest.mark.parametrize("name", RELEASED)
def test_a_released_size_has_its_checkpoints_parameter_count(name: str) -> None:
    parameters = sum(shape.numel() for shape in parameter_shapes(MODELS[name]).values())
    assert round(parameters / 1e6) == RELEASED[name][2]


@pytest.mark.parametrize("config", MODELS.values(), ids=name_of)
def test_derived_sizes(config: VisionConfig) -> None:
    is_qwen3 = config.name.startswith("qwen3")
    assert config.head_dim == ((72 if config.hidden_size in (1152, 144) else 64) if is_qwen3 else 80)
    assert config.merge_unit == 4
    assert config.patch_dim == 3 * 2 * (16 * 16 if is_qwen3 else 14 * 14)


def test_which_blocks_attend_fully() -> None:
    def full(name: str) -> list[int]:
        return [block for block in range(MODELS[name].depth) if MODELS[name].attends_fully(block)]

    assert full("qwen2.5-vl-7b") == [7, 15, 23, 31]
    assert full("qwen2-vl-7b") == list(range(32))


def test_a_window_is_four_cells_wide_and_qwen2_has_none() -> None:
    assert MODELS["qwen2.5-vl-7b"].window_cells == 4
    with pytest.raises(ValueError, match="qwen2-vl-7b has no attention windows"):
        _ = MODELS["qwen2-vl-7b"].window_cells


QWEN2 = MODELS["qwen2-vl-tiny"]


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("family", "qwen9", "family is 'qwen9'; choose one of qwen2_vl, qwen2_5_vl, qwen3_vl, qwen3_5"),
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


@pytest.mark.parametrize(
    ("name", "changes", "sentence"),
    [
        (
            "qwen3.5-tiny",
            {"deepstack_blocks": (1,)},
            "deepstack_blocks is (1,), and the reference tower of qwen3_5 has",
        ),
        ("qwen3-vl-tiny", {"patch_bias": False}, "patch_bias is False, and the reference tower of qwen3_vl has True"),
        ("qwen3-vl-tiny", {"window_size": 128}, "window_size is 128, and the reference tower of qwen3_vl has None"),
    ],
)
def test_the_reference_tower_of_qwen3_refuses_what_it_does_not_compute(
    name: str, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^{name}: {re.escape(sentence)}"):
        build_baseline(replace(MODELS[name], **changes))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"position_table": 2300}, "position_table is 2300; give a square number"),
        ({"deepstack_blocks": (2, 0)}, "deepstack_blocks is (2, 0); give each once, in order"),
        ({"deepstack_blocks": (1, 1)}, "deepstack_blocks is (1, 1); give each once, in order"),
    ],
)
def test_what_qwen3_cannot_be(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^qwen3-vl-tiny: {re.escape(sentence)}"):
        replace(MODELS["qwen3-vl-tiny"], **changes)


def test_a_windowed_model_needs_windows() -> None:
    with pytest.raises(ConfigError, match="has no attention windows"):
        build_baseline(replace(MODELS["qwen2.5-vl-tiny"], window_size=None))
