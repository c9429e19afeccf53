"""The shape of a checkpoint's vision tower by its own config.json: what no tensor shows, such as heads and windows."""

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from .checkpoint_preprocessing import CheckpointError as CheckpointError, one_side, read_object, read_preprocessing
from .config import FAMILIES, MODELS, Activation, ConfigError, Family, VisionConfig
from .preprocessing import QWEN3, Preprocessing

CONFIG = "config.json"
LANGUAGE = "out_hidden_size"
"""The width of the language model: towers of one model differ in it."""
_MOE: Mapping[str, Family] = {"qwen3_vl_moe": "qwen3_vl", "qwen3_5_moe": "qwen3_5"}
_FAMILIES: Mapping[str, Family] = {**{name: name for name in FAMILIES}, **_MOE}
"""By model_type; a language model of experts has the same tower."""
_ACTIVATIONS: Mapping[str, Activation] = {
    "silu": "silu",
    "swish": "silu",
    "quick_gelu": "quick_gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
}
_OF_QWEN3: Mapping[str, Any] = {
    "depth": 27,
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "out_hidden_size": 3584,
    "hidden_act": "gelu_pytorch_tanh",
    "patch_size": 16,
    "num_position_embeddings": 48 * 48,
}
_DEFAULTS: Mapping[Family, Mapping[str, Any]] = {
    "qwen2_vl": {"embed_dim": 1280, "mlp_ratio": 4, "hidden_size": 3584, "hidden_act": "quick_gelu"},
    "qwen2_5_vl": {
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "out_hidden_size": 3584,
        "hidden_act": "silu",
        "fullatt_block_indexes": [7, 15, 23, 31],
        "window_size": 112,
    },
    "qwen3_vl": {**_OF_QWEN3, "deepstack_visual_indexes": [8, 16, 24]},
    "qwen3_5": {**_OF_QWEN3, "deepstack_visual_indexes": []},
}
"""Released configs leave out what is the same in every size, and files of transformers what is its class's default."""
_WIDTHS: Mapping[Family, tuple[str, str]] = {
    "qwen2_vl": ("embed_dim", "hidden_size"),
    "qwen2_5_vl": ("hidden_size", LANGUAGE),
    "qwen3_vl": ("hidden_size", LANGUAGE),
    "qwen3_5": ("hidden_size", LANGUAGE),
}
"""What a family calls the tower's own width, and the language model's."""
_UNUSED = (
    "model_type dtype torch_dtype initializer_range spatial_patch_size tokens_per_second architectures "
    "transformers_version return_dict output_hidden_states output_attentions chunk_size_feed_forward "
    "is_encoder_decoder problem_type id2label label2id use_cache tie_word_embeddings torchscript"
)
"""Fields that say nothing of what the tower computes; so do those that begin with an underscore."""
_ROPE: Mapping[str, tuple[object, ...]] = {
    "rope_theta": (10_000,),
    "rope_type": ("axial", "default"),
    "partial_rotary_factor": (1, None),
}
"""What is supported; older configs say it beside the other fields."""
_OF_ALL = {"depth": 32, "num_heads": 16, "patch_size": 14, "temporal_patch_size": 2, "spatial_merge_size": 2}


def read_config(folder: Path) -> VisionConfig | None:
    """The tower that the folder's config.json describes, one of `MODELS` where it is that; None without the file.

    Raises CheckpointError for a config that cannot be read, and for a tower that is not supported.
    """
    path = folder / CONFIG
    if not path.is_file():
        return None
    content = read_object(path)
    whole, alone = str(content.get("model_type")), "vision_config" not in content
    if alone and whole in _FAMILIES and "depth" not in content:
        raise CheckpointError(f"{path}: it has no 'vision_config'; download it again")
    if not isinstance(vision := content.get("vision_config", content), dict) or not vision:
        raise CheckpointError(f"{path}: not a config with a 'vision_config'; download it again")
    kind = str(content.get("model_type", vision.get("model_type"))).removesuffix("_vision")
    inner = str(vision.get("model_type", kind)).removesuffix("_vision")
    if _FAMILIES.get(inner) != _FAMILIES.get(kind):
        raise CheckpointError(f"{path}: model_type is {kind!r:.40}, and that of vision_config {inner!r:.40}; mend one")
    if kind not in _FAMILIES:
        raise CheckpointError(f"{path}: model_type is {kind!r:.40}; give a checkpoint of {' or '.join(_FAMILIES)}")
    family = _FAMILIES[kind]
    try:
        found = _config(_name(folder), family, {**_OF_ALL, **_DEFAULTS[family], **vision})
        found = replace(found, preprocessing=read_preprocessing(folder, found.preprocessing))
    except CheckpointError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        told = str(error).partition(": ")[2] or error
        raise CheckpointError(f"{path}: {told}; download it again or choose another checkpoint") from None
    return next((known for known in MODELS.values() if replace(found, name=known.name) == known), found)


def difference(folder: Path, config: VisionConfig) -> str | None:
    """Which field of the folder's config.json is another than that of `config`, in words; None where none is."""
    told = read_config(folder)
    if told is None:
        return None
    for field in fields(VisionConfig):
        theirs, ours = (_told_by_config(each, field.name) for each in (told, config))
        if field.name not in ("name", LANGUAGE) and theirs != ours:
            return f"{folder / CONFIG}: {field.name} is {theirs!r} and that of {config.name} {ours!r}"
    return None


def _told_by_config(config: VisionConfig, field: str) -> object:
    """A field; of what is fed in, the sizes of patches alone, since the limits of pictures are no other tower."""
    if field != "preprocessing":
        return getattr(config, field)
    return config.patch_size, config.temporal_patch_size, config.spatial_merge_size


def _config(name: str, family: Family, told: Mapping[str, Any]) -> VisionConfig:
    _check_known(name, family, told)
    width, language = (told[name] for name in _WIDTHS[family])
    activation = told["hidden_act"]
    if activation not in _ACTIVATIONS:
        raise ConfigError(f"{name}: hidden_act is {activation!r:.40}; supported are {', '.join(_ACTIVATIONS)}")
    windows = {"window_size": told["window_size"]} if "window_size" in _DEFAULTS[family] else {}
    if windows:
        windows["fullatt_block_indexes"] = tuple(told["fullatt_block_indexes"])
    learned: dict[str, Any] = {}
    if "num_position_embeddings" in _DEFAULTS[family]:
        deepstack = tuple(told["deepstack_visual_indexes"] or ())
        learned = {"position_table": told["num_position_embeddings"], "deepstack_blocks": deepstack}
    _check_rope(name, told)
    fed = replace(
        QWEN3 if learned else Preprocessing(),
        patch_size=one_side(told["patch_size"]),
        merge_size=told["spatial_merge_size"],
        temporal_patch_size=one_side(told["temporal_patch_size"]),
    )
    return VisionConfig(
        name,
        family,
        depth=told["depth"],
        hidden_size=width,
        num_heads=told["num_heads"],
        intermediate_size=int(width * told["mlp_ratio"])
        if "mlp_ratio" in _DEFAULTS[family]
        else told["intermediate_size"],
        out_hidden_size=language,
        in_channels=told.get("in_channels", told.get("in_chans", 3)),
        preprocessing=fed,
        **windows,
        **learned,
        **dict(FAMILIES[family]) | {"activation": _ACTIVATIONS[activation]},
    )


def _check_known(name: str, family: Family, told: Mapping[str, Any]) -> None:
    """Raises ConfigError for a field that nothing here reads: it may say that something else is computed."""
    known = {*_OF_ALL, *_DEFAULTS[family], "in_channels", "in_chans", "rope_parameters", *_ROPE, *_UNUSED.split()}
    for field, value in told.items():
        if value is not None and field not in known and not field.startswith("_"):
            raise ConfigError(f"{name}: {field!r:.40} is {value!r:.40}, and no released tower has that; not supported")


def _check_rope(name: str, told: Mapping[str, Any]) -> None:
    """Raises ConfigError for another rotation than that of every released tower, wherever a config says it."""
    rope = told.get("rope_parameters") or {}
    if not isinstance(rope, Mapping):
        raise ConfigError(f"{name}: rope_parameters is {rope!r:.40}; it is no object")
    for field, value in (*rope.items(), *((each, told[each]) for each in _ROPE if told.get(each) is not None)):
        if field not in _ROPE:
            raise ConfigError(f"{name}: rope_parameters has {field!r:.40}, which no released tower has; not supported")
        if value not in _ROPE[field]:
            raise ConfigError(f"{name}: {field} is {value!r:.40}; supported is {_ROPE[field][0]!r}")


def _name(folder: Path) -> str:
    """A name for a model that is none of ours, which no tower's name can be mistaken for."""
    plain = re.sub(r"[^\w.-]+", "-", folder.resolve().name)[:60] or "checkpoint"
    return f"{plain}-changed" if plain in _PINNED else plain


_PINNED = frozenset(MODELS)
