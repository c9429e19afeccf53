"""transformers' whole models, and what can be done to checkpoint folders as they write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3_5Config,
    Qwen3_5ForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from tests.implementations.grids import MIXED
from tests.implementations.towers import TINY, pixels_of, relative_error, run
from tests.implementations.transformers_towers import their_output, transformers_config
from vlbench.implementations import build_tower
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.weights import CheckpointError, load_checkpoint, parameter_shapes

CONFIG = TINY[1]
INDEX = "model.safetensors.index.json"


def full_model(config: VisionConfig) -> Any:
    """transformers' whole model around the tower, with the smallest language model that it takes."""
    text = {
        "hidden_size": config.out_hidden_size,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 128,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [8, 12, 12]},
    }
    vision = transformers_config(config).to_dict()
    if config.family == "qwen3_5":
        heads = {f"linear_num_{part}_heads": 1 for part in ("key", "value")}
        text |= heads | {f"linear_{part}_head_dim": 8 for part in ("key", "value")} | {"head_dim": 64}
    if config.family in ("qwen3_vl", "qwen3_5"):
        text |= {"head_dim": 64}
    theirs, their_config = THEIRS[config.family]
    return theirs(their_config(text_config=text, vision_config=vision))


THEIRS: dict[str, tuple[Any, Any]] = {
    "qwen2_vl": (Qwen2VLForConditionalGeneration, Qwen2VLConfig),
    "qwen2_5_vl": (Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLConfig),
    "qwen3_vl": (Qwen3VLForConditionalGeneration, Qwen3VLConfig),
    "qwen3_5": (Qwen3_5ForConditionalGeneration, Qwen3_5Config),
}


def weight_map(folder: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((folder / INDEX).read_text())["weight_map"]
    return found


def is_vision(key: str) -> bool:
    return key.startswith(("visual.", "model.visual."))


def check_loads(folder: Path, config: VisionConfig, visual: nn.Module) -> None:
    weights = load_checkpoint(folder, config)
    assert {key: tensor.shape for key, tensor in weights.items()} == parameter_shapes(config)
    theirs = their_output(visual, pixels_of(config, MIXED), torch.tensor(MIXED))
    assert relative_error(run(build_tower(config, None, weights), config, MIXED), theirs) < 1e-5


def refusal(folder: Path, config: VisionConfig = CONFIG) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder, config)
    message = str(caught.value)
    assert message.startswith(str(folder))
    assert "\n" not in message
    return message.removeprefix(str(folder))


def edited(folder: Path, **vision: object) -> Path:
    """The folder, with other values in its config.json."""
    path = folder / "config.json"
    content = json.loads(path.read_text())
    content["vision_config"] |= vision
    path.write_text(json.dumps(content))
    return folder


def retensored(folder: Path, **tensors: torch.Tensor | None) -> Path:
    """The folder, with other tensors in its one file: dots written as __, None to leave one out."""
    file = folder / "model.safetensors"
    changed = {name.replace("__", "."): tensor for name, tensor in tensors.items()}
    save_file({key: each for key, each in (load_file(file) | changed).items() if each is not None}, file)
    return folder
