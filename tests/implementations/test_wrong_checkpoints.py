"""Checkpoints that do not load: one sentence, which names the file and the remedy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.implementations.checkpoints import CONFIG, INDEX, is_vision, refusal, retensored, weight_map
from vlbench.implementations.config import MODELS
from vlbench.implementations.weights import CheckpointError, load_checkpoint


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


NORM = "visual__blocks__1__norm1__weight"


def test_a_file_beside_the_shards(shards: Path, saved: Path) -> None:
    shutil.copy(saved / CONFIG.name / "whole" / "model.safetensors", shards)
    message = refusal(shards)
    assert "is there twice, as 'visual." in message
    assert "in model.safetensors; remove the one that is old" in message


def test_two_files_with_one_key(whole: Path) -> None:
    shutil.copy(whole / "model.safetensors", whole / "a-copy.safetensors")
    assert "in a-copy.safetensors and " in refusal(whole)


def test_two_prefixes_with_one_key(whole: Path) -> None:
    tensors = load_file(whole / "model.safetensors")
    key = "visual.merger.ln_q.weight"
    save_file(tensors | {f"model.{key}": tensors[key].clone()}, whole / "model.safetensors")
    message = refusal(whole)
    assert f"{key!r} in model.safetensors" in message
    assert "'model.visual.merger.ln_q.weight' in model.safetensors" in message


@pytest.mark.parametrize("name", ["../other/model.safetensors", "/etc/passwd", "a/b.safetensors"])
def test_an_index_that_leaves_the_folder(shards: Path, name: str) -> None:
    where = weight_map(shards)
    (shards / INDEX).write_text(json.dumps({"weight_map": where | {next(filter(is_vision, where)): name}}))
    assert f"{name!r} is no file of the folder itself" in refusal(shards)


@pytest.mark.parametrize("name", ["weight_scale", "weight_scale_inv", "weight.absmax", "qweight", "g_idx", "SCB"])
def test_a_quantised_tower_by_its_keys(whole: Path, name: str) -> None:
    key = f"visual.blocks.0.attn.qkv.{name}"
    save_file(load_file(whole / "model.safetensors") | {key: torch.ones(2)}, whole / "model.safetensors")
    assert f"{key!r} is of a quantised tower; quantised towers are not supported" in refusal(whole)


@pytest.mark.parametrize(
    ("dtype", "told"),
    [
        (torch.int8, "is of I8, as of a quantised tower; quantised towers are not supported"),
        (torch.uint8, "is of U8, as of a quantised tower"),
        (torch.float8_e4m3fn, "is of F8_E4M3, as of a quantised tower"),
        (torch.bool, "is of BOOL, which no weight is"),
        (torch.int64, "is of I64, which no weight is"),
    ],
)
def test_a_tensor_that_is_no_weight(whole: Path, dtype: torch.dtype, told: str) -> None:
    assert told in refusal(retensored(whole, **{NORM: torch.ones(160).to(dtype)}))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_none(whole: Path, value: float) -> None:
    bad = torch.ones(160)
    bad[7] = value
    assert "'visual.blocks.1.norm1.weight' holds NaN or infinity" in refusal(retensored(whole, **{NORM: bad}))


def test_a_value_that_the_dtype_cannot_hold(whole: Path) -> None:
    retensored(whole, **{NORM: torch.full((160,), 1e5)})
    with pytest.raises(
        CheckpointError, match=r"norm1.weight' holds 1e\+05, which float16 cannot; choose another --dtype"
    ):
        load_checkpoint(whole, CONFIG, torch.float16)
    assert load_checkpoint(whole, CONFIG, torch.bfloat16)


def test_weights_that_are_all_zero(whole: Path) -> None:
    file = whole / "model.safetensors"
    save_file({key: torch.zeros_like(each) for key, each in load_file(file).items()}, file)
    assert "every weight is zero" in refusal(whole)


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
