"""What the config.json of a checkpoint says, and where it says what is not computed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen2_5_VLForConditionalGeneration

from tests.implementations.checkpoints import CONFIG, check_loads, edited, refusal, retensored
from vlbench.implementations.checkpoint_config import difference, read_config
from vlbench.implementations.config import MODELS, VisionConfig
from vlbench.implementations.weights import CheckpointError, load_checkpoint


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("fullatt_block_indexes", [1, 3], "fullatt_block_indexes is (1, 3) and that of qwen2.5-vl-tiny (3,)"),
        ("num_heads", 4, "num_heads is 4 and that of qwen2.5-vl-tiny 2"),
        ("window_size", 56, "window_size is 56 and that of qwen2.5-vl-tiny 112"),
        ("hidden_act", "gelu_pytorch_tanh", "activation is 'gelu_tanh' and that of qwen2.5-vl-tiny 'silu'"),
        ("hidden_act", "relu", "hidden_act is 'relu'; supported are silu"),
        ("num_heads", 3, "hidden_size is 160 with num_heads 3"),
        ("depth", -1, "depth is -1; give a whole number"),
        ("depth", "4", "depth is '4'; give a whole number"),
        ("patch_size", 2.5, "patch_size is 2.5; give a whole number"),
        ("fullatt_block_indexes", 3, "'int' object is not iterable"),
        ("fullatt_block_indexes", [9], "fullatt_block_indexes has 9; choose from 0 to 3"),
        ("num_attention_heads", 4, "'num_attention_heads' is 4, and no released tower has that"),
        ("norm_eps", 1e-5, "'norm_eps' is 1e-05, and no released tower has that"),
        ("rope_theta", 5e5, "rope_theta is 500000.0; supported is 10000"),
    ],
)
def test_what_only_the_config_says_is_read(whole: Path, field: str, value: object, told: str) -> None:
    message = refusal(edited(whole, **{field: value}))
    assert message.startswith("/config.json: ")
    assert told in message


@pytest.mark.parametrize("content", ["", "[]", "{", '{"vision_config": 3}', '{"model_type": "llava"}'])
def test_a_config_that_is_none_or_anothers(whole: Path, content: str) -> None:
    (whole / "config.json").write_text(content)
    assert refusal(whole).startswith("/config.json: ")


@pytest.mark.parametrize(
    "vision", [{"num_heads": 4}, {"window_size": 56}, {"fullatt_block_indexes": [1, 2]}, {"out_hidden_size": 256}]
)
def test_a_changed_tower_runs_as_its_config_says(whole: Path, vision: dict[str, Any]) -> None:
    """Against transformers on the same tensors; as the released tower it would be off by 0.08 to 0.48."""
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(edited(whole, **vision)).eval()
    config = read_config(whole)
    assert config is not None
    assert (config == CONFIG) == (vision == {"out_hidden_size": 256})
    check_loads(whole, config, model.model.visual)


def test_another_width_of_the_language_model_is_no_other_model(whole: Path) -> None:
    narrow = {f"visual__merger__mlp__2__{part}": torch.zeros(64, *more) for part, *more in (("weight", 640), ("bias",))}
    edited(retensored(whole, **narrow), out_hidden_size=64)
    config = read_config(whole)
    assert config is not None
    assert (config.out_hidden_size, difference(whole, CONFIG)) == (64, None)
    assert load_checkpoint(whole, config)["merger.mlp.2.bias"].shape == (64,)


def test_released_configs_that_leave_out_what_is_usual(tmp_path: Path) -> None:
    vision: dict[str, Any] = {"hidden_size": 1280, "in_chans": 3, "model_type": "qwen2_5_vl", "tokens_per_second": 2}
    vision |= {"rope_theta": 10000.0, "torch_dtype": "bfloat16", "_name_or_path": "", "rope_scaling": None}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2_5_vl", "vision_config": vision}))
    assert read_config(tmp_path) == MODELS["qwen2.5-vl-7b"]
    vision = {"embed_dim": 1280, "hidden_size": 1536, "in_chans": 3, "mlp_ratio": 4, "num_heads": 16}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2_vl", "vision_config": vision}))
    assert read_config(tmp_path) == MODELS["qwen2-vl-2b"]


def test_released_configs_of_qwen3(tmp_path: Path) -> None:
    def read(kind: str, **vision: object) -> VisionConfig | None:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": kind, "vision_config": vision}))
        return read_config(tmp_path)

    assert read("qwen3_vl", out_hidden_size=4096) == MODELS["qwen3-vl-8b"]
    assert read("qwen3_vl_moe", out_hidden_size=2048, patch_size=[16, 16]) == MODELS["qwen3-vl-30b-a3b"]
    small = {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096}
    blocks = {"deepstack_visual_indexes": [5, 11, 17]}
    assert read("qwen3_vl", out_hidden_size=2560, **small, **blocks) == MODELS["qwen3-vl-4b"]
    assert read("qwen3_5", out_hidden_size=2560, **small) == MODELS["qwen3.5-4b"]
    rope = {"rope_parameters": {"rope_theta": 10000.0, "rope_type": "axial"}}
    assert read("qwen3_5", out_hidden_size=4096, deepstack_visual_indexes=[], **rope) == MODELS["qwen3.5-9b"]


@pytest.mark.parametrize(
    ("vision", "told"),
    [
        ({"rope_parameters": {"rope_theta": 1e6}}, "rope_theta is 1000000.0; supported is 10000"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope_type is 'yarn'; supported is 'axial'"),
        ({"rope_parameters": {"partial_rotary_factor": 0.25}}, "partial_rotary_factor is 0.25; supported is 1"),
        ({"rope_parameters": {"beta_fast": 3}}, "rope_parameters has 'beta_fast', which no released tower has"),
        ({"rope_parameters": [1]}, "rope_parameters is [1]; it is no object"),
        ({"num_position_embeddings": 2300}, "position_table is 2300; give a square number"),
        ({"deepstack_visual_indexes": [16, 8]}, "deepstack_blocks is (16, 8); give each once, in order"),
        ({"deepstack_visual_indexes": 3}, "'int' object is not iterable"),
        ({"patch_size": [16, 14]}, "patch_size is [16, 14]; give a whole number"),
    ],
)
def test_configs_of_qwen3_that_are_not_computed(tmp_path: Path, vision: dict[str, Any], told: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen3_vl", "vision_config": vision}))
    with pytest.raises(CheckpointError, match=rf"^{tmp_path}/config.json: {re.escape(told)}"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"model_type": "qwen3_vl"}, "it has no 'vision_config'; download it again"),
        ({"model_type": "qwen3_vl", "vision_config": {}}, "not a config with a 'vision_config'; download it again"),
        (
            {"model_type": "qwen3_vl", "vision_config": {"model_type": "qwen2_5_vl", "depth": 2}},
            "model_type is 'qwen3_vl', and that of vision_config 'qwen2_5_vl'; mend one",
        ),
    ],
)
def test_a_config_without_a_tower_or_with_two_kinds(tmp_path: Path, content: dict[str, Any], told: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=re.escape(told)):
        read_config(tmp_path)
