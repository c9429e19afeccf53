"""Checkpoint folders as transformers writes them, and damaged ones."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
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
    Qwen3_5Config,
    Qwen3_5ForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from tests.implementations.grids import MIXED
from tests.implementations.towers import TINY, name_of, pixels_of, relative_error, run
from tests.implementations.transformers_towers import their_output, transformers_config
from vlbench.implementations import build_tower
from vlbench.implementations.checkpoint_config import difference, read_config
from vlbench.implementations.config import MODELS, VisionConfig
from vlbench.implementations.preprocessing import QWEN3, Preprocessing
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
    """Checkpoints of every family as transformers writes them: whole, and in many shards."""
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
    theirs = their_output(visual, pixels_of(config, MIXED), torch.tensor(MIXED))
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
    assert read_config(folder) == config
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


NORM = "visual__blocks__1__norm1__weight"


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


def told_by(folder: Path, kind: str, **files: dict[str, Any]) -> Preprocessing:
    """What a checkpoint with these preprocessor files is fed."""
    (folder / "config.json").write_text(json.dumps({"model_type": kind, "vision_config": {"spatial_merge_size": 2}}))
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    config = read_config(folder)
    assert config is not None
    return config.preprocessing


def test_the_preprocessor_file_of_a_checkpoint_wins(tmp_path: Path) -> None:
    images = {"size": {"shortest_edge": 4096, "longest_edge": 10**6}, "image_mean": [0.4, 0.5, 0.6], "patch_size": 16}
    videos = {"size": {"longest_edge": 10**7, "shortest_edge": None}}
    fed = told_by(tmp_path, "qwen3_vl", preprocessor_config=images, video_preprocessor_config=videos)
    limits = {"min_pixels": 4096, "max_pixels": 10**6, "video_pixels": (4096, 10**7)}
    assert fed == replace(QWEN3, mean=(0.4, 0.5, 0.6), **limits)
    older = {"min_pixels": 784, "max_pixels": 50176, "size": {"min_pixels": 1, "max_pixels": 2}, "resample": 3}
    older |= {"rescale_factor": 0.00392156862745098, "do_pad": None}
    assert told_by(tmp_path, "qwen2_vl", preprocessor_config=older) == Preprocessing(min_pixels=784, max_pixels=50176)
    assert difference(tmp_path, MODELS["qwen2-vl-7b"]) is None  # other limits are no other tower


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"do_normalize": False}, "do_normalize is False, and only True is supported"),
        ({"resample": 2}, "resample is 2, and only 3 is supported"),
        ({"rescale_factor": 1 / 127.5}, r"rescale_factor is 0\.00784\d+, and only 0\.00392\d+ is supported"),
        ({"do_center_crop": True}, "do_center_crop is True, and only False is supported"),
        ({"patch_size": 14}, "patch_size is 14 and that of config.json 16; download both again"),
        ({"size": {"height": 224}}, "size has 'height'; supported are shortest_edge and longest_edge"),
        ({"size": {"shortest_edge": 9, "longest_edge": 8}}, "max_pixels is 8; give as many as min_pixels"),
        ({"max_pixels": "many"}, "max_pixels is 'many'; give a whole number"),
        ({"image_std": [0, 0.5, 0.5]}, r"mean is \(0.5, 0.5, 0.5\) and std"),
        ([], "not a JSON object; download it again"),
    ],
)
def test_a_preprocessor_file_that_is_not_computed(tmp_path: Path, content: Any, told: str) -> None:
    with pytest.raises(CheckpointError, match=rf"^{tmp_path}/preprocessor_config.json: {told}"):
        told_by(tmp_path, "qwen3_vl", preprocessor_config=content)


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
