"""Checkpoint folders as transformers writes them, and damaged ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
)

from tests.implementations.grids import MIXED
from tests.implementations.towers import TINY, name_of, pixels_of, relative_error, run
from tests.implementations.transformers_towers import transformers_config
from vlbench.implementations import build_tower
from vlbench.implementations.config import MODELS, VisionConfig
from vlbench.implementations.weights import CheckpointError, load_checkpoint, parameter_shapes

CONFIG = TINY[1]


INDEX = "model.safetensors.index.json"
families = pytest.mark.parametrize("config", TINY, ids=name_of)


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
    if config.family == "qwen2_vl":
        return Qwen2VLForConditionalGeneration(Qwen2VLConfig(text_config=text, vision_config=vision))
    return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=vision))


@pytest.fixture(scope="module")
def model() -> Callable[[VisionConfig], Any]:
    made: dict[VisionConfig, Any] = {}

    def make(config: VisionConfig) -> Any:
        if config not in made:
            torch.manual_seed(0)
            made[config] = full_model(config).eval()
        return made[config]

    return make


@pytest.fixture(scope="module")
def saved(model: Callable[[VisionConfig], Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of both families as transformers writes them: whole, and in many shards."""
    root = tmp_path_factory.mktemp("checkpoints")
    for config in TINY:
        model(config).save_pretrained(root / config.name / "whole")
        model(config).save_pretrained(root / config.name / "shards", max_shard_size="300KB")
    return root


@pytest.fixture
def whole(saved: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(saved / CONFIG.name / "whole", tmp_path / "whole"))


@pytest.fixture
def shards(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved / CONFIG.name / "shards", tmp_path / "shards"))


def weight_map(folder: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((folder / INDEX).read_text())["weight_map"]
    return found


def is_vision(key: str) -> bool:
    return key.startswith(("visual.", "model.visual."))


def check_loads(folder: Path, config: VisionConfig, visual: nn.Module) -> None:
    weights = load_checkpoint(folder, config)
    assert {key: tensor.shape for key, tensor in weights.items()} == parameter_shapes(config)
    with torch.no_grad():
        theirs = visual(pixels_of(config, MIXED), torch.tensor(MIXED)).pooler_output
    assert relative_error(run(build_tower(config, None, weights), config, MIXED), theirs) < 1e-5


def refusal(folder: Path, config: VisionConfig = CONFIG) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder, config)
    message = str(caught.value)
    assert message.startswith(str(folder))
    assert "\n" not in message
    return message.removeprefix(str(folder))


# Checkpoints that load.


@families
@pytest.mark.parametrize("form", ["whole", "shards"])
def test_a_checkpoint_loads_as_transformers_writes_it(
    config: VisionConfig, form: str, saved: Path, model: Callable[[VisionConfig], Any]
) -> None:
    folder = saved / config.name / form
    assert (len(list(folder.glob("*.safetensors"))) > 1) == (form == "shards")
    check_loads(folder, config, model(config).model.visual)


@families
@pytest.mark.parametrize("prefix", ["visual.", "model.visual."])
def test_both_prefixes_load(
    config: VisionConfig, prefix: str, saved: Path, tmp_path: Path, model: Callable[[VisionConfig], Any]
) -> None:
    tensors = load_file(saved / config.name / "whole" / "model.safetensors")
    renamed = {f"{prefix}{key.split('visual.')[1]}" if is_vision(key) else key: t for key, t in tensors.items()}
    save_file(renamed, tmp_path / "model.safetensors")
    check_loads(tmp_path, config, model(config).model.visual)


@families
def test_the_vision_tower_saved_alone_loads(
    config: VisionConfig, tmp_path: Path, model: Callable[[VisionConfig], Any]
) -> None:
    visual = model(config).model.visual
    visual.save_pretrained(tmp_path)
    check_loads(tmp_path, config, visual)


def test_shards_without_vision_tensors_need_not_be_there(shards: Path, model: Callable[[VisionConfig], Any]) -> None:
    where = weight_map(shards)
    text_only = set(where.values()) - {file for key, file in where.items() if is_vision(key)}
    assert text_only
    for file in text_only:
        (shards / file).unlink()
    check_loads(shards, CONFIG, model(CONFIG).model.visual)


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


# Checkpoints that do not: one sentence, which names the file and the remedy.


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert "not a folder; give the folder" in refusal(tmp_path / "nowhere")


def test_a_file_instead_of_a_folder(whole: Path) -> None:
    assert "not a folder; give the folder" in refusal(whole / "model.safetensors")


def test_an_empty_folder(tmp_path: Path) -> None:
    assert "no .safetensors file here; convert" in refusal(tmp_path)


def test_a_checkpoint_without_a_vision_tower(tmp_path: Path) -> None:
    save_file({"model.embed_tokens.weight": torch.zeros(2)}, tmp_path / "model.safetensors")
    message = refusal(tmp_path)
    assert "has no vision tensors" in message
    assert "give the folder of a qwen2.5-vl-tiny checkpoint" in message


def test_missing_keys(whole: Path) -> None:
    tensors = load_file(whole / "model.safetensors")
    del tensors["visual.merger.ln_q.weight"]
    save_file(tensors, whole / "model.safetensors")
    message = refusal(whole)
    assert "not 'merger.ln_q.weight' (1 of 54 missing)" in message
    assert "choose the model" in message


def test_unknown_keys(whole: Path) -> None:
    tensors = load_file(whole / "model.safetensors")
    save_file(tensors | {"visual.pos_embed.weight": torch.zeros(2)}, whole / "model.safetensors")
    assert "'pos_embed.weight' is not part of qwen2.5-vl-tiny (1 such tensors); choose the model" in refusal(whole)


@pytest.mark.parametrize("other", ["qwen2-vl-tiny", "qwen2.5-vl-7b"])
def test_another_models_checkpoint(whole: Path, other: str) -> None:
    message = refusal(whole, MODELS[other])
    assert other in message
    assert "choose the model it holds" in message


def test_another_shape(whole: Path) -> None:
    tensors = load_file(whole / "model.safetensors")
    tensors["visual.merger.mlp.2.bias"] = torch.zeros(255)
    save_file(tensors, whole / "model.safetensors")
    message = refusal(whole)
    assert message.startswith("/model.safetensors: 'visual.merger.mlp.2.bias' has shape [255]")
    assert "needs [256]; choose the model" in message


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.5, 0.9999])
def test_a_truncated_file(whole: Path, share: float) -> None:
    file = whole / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    message = refusal(whole)
    assert message.startswith("/model.safetensors: damaged")
    assert message.endswith("download it again")


def test_a_missing_shard(shards: Path) -> None:
    shard = next(file for key, file in weight_map(shards).items() if is_vision(key))
    (shards / shard).unlink()
    message = refusal(shards)
    assert message.startswith(f"/{shard}: named by the index but not there")
    assert "download the missing shard" in message


def test_a_shard_without_the_tensor_that_the_index_promises(shards: Path) -> None:
    where = weight_map(shards)
    key = next(filter(is_vision, where))
    other = next(file for file in where.values() if file != where[key])
    (shards / INDEX).write_text(json.dumps({"weight_map": where | {key: other}}))
    assert refusal(shards).startswith(f"/{other}: ")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"{}",
        b"[]",
        b"3",
        b'"weight_map"',
        b'{"weight_map": null}',
        b'{"weight_map": []}',
        b'{"weight_map": {"visual.merger.ln_q.weight": 3}}',
    ],
)
def test_a_bad_index(shards: Path, content: bytes) -> None:
    (shards / INDEX).write_bytes(content)
    message = refusal(shards)
    assert message.startswith(f"/{INDEX}: not a safetensors index")
    assert "download it again" in message
