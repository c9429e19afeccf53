"""Checkpoint folders as transformers writes them load."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.implementations.checkpoints import CONFIG, check_loads, is_vision, weight_map
from tests.implementations.towers import TINY, name_of
from vlbench.implementations.checkpoint_config import read_config
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.weights import load_checkpoint

families = pytest.mark.parametrize("config", TINY, ids=name_of)


@families
@pytest.mark.parametrize("form", ["whole", "shards"])
def test_a_checkpoint_loads_as_transformers_writes_it(
    config: VisionConfig, form: str, saved: Path, their_model: Callable[[VisionConfig], Any]
) -> None:
    folder = saved / config.name / form
    assert (len(list(folder.glob("*.safetensors"))) > 1) == (form == "shards")
    assert read_config(folder) == config
    check_loads(folder, config, their_model(config).model.visual)


@families
@pytest.mark.parametrize("prefix", ["visual.", "model.visual."])
def test_both_prefixes_load(
    config: VisionConfig, prefix: str, saved: Path, tmp_path: Path, their_model: Callable[[VisionConfig], Any]
) -> None:
    tensors = load_file(saved / config.name / "whole" / "model.safetensors")
    renamed = {f"{prefix}{key.split('visual.')[1]}" if is_vision(key) else key: t for key, t in tensors.items()}
    save_file(renamed, tmp_path / "model.safetensors")
    check_loads(tmp_path, config, their_model(config).model.visual)


@families
def test_the_vision_tower_saved_alone_loads(
    config: VisionConfig, tmp_path: Path, their_model: Callable[[VisionConfig], Any]
) -> None:
    visual = their_model(config).model.visual
    visual.save_pretrained(tmp_path)
    check_loads(tmp_path, config, visual)


def test_shards_without_vision_tensors_need_not_be_there(
    shards: Path, their_model: Callable[[VisionConfig], Any]
) -> None:
    where = weight_map(shards)
    text_only = set(where.values()) - {file for key, file in where.items() if is_vision(key)}
    assert text_only
    for file in text_only:
        (shards / file).unlink()
    check_loads(shards, CONFIG, their_model(CONFIG).model.visual)


def test_only_vision_tensors_are_read(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vlbench.implementations import weights

    read: list[str] = []

    class Watched:
        def __init__(self, file: Path, framework: str) -> None:
            self.file = safe_open(file, framework=framework)

        def __enter__(self) -> Watched:
            return self

        def __exit__(self, *error: object) -> None:
            return None

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def get_tensor(self, key: str) -> torch.Tensor:
            read.append(key)
            tensor: torch.Tensor = self.file.get_tensor(key)
            return tensor

    monkeypatch.setattr(weights, "safe_open", Watched)
    load_checkpoint(whole, CONFIG)
    assert sorted(read) == sorted(key for key in load_file(whole / "model.safetensors") if is_vision(key))


def test_tensors_come_in_the_wanted_dtype(saved: Path) -> None:
    weights = load_checkpoint(saved / CONFIG.name / "whole", CONFIG, torch.bfloat16)
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
