"""The shape of a checkpoint's vision tower by its own config.json: what no tensor shows, such as heads and windows."""

import json
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from .config import FAMILIES, MODELS, Activation, ConfigError, Family, VisionConfig
from .preprocessing import Preprocessing

CONFIG = "config.json"
LANGUAGE = "out_hidden_size"
"""The width of the language model: towers of one model differ in it."""
_FAMILIES: Mapping[str, Family] = {name: name for name in FAMILIES}
_ACTIVATIONS: Mapping[str, Activation] = {
    "silu": "silu",
    "swish": "silu",
    "quick_gelu": "quick_gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
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
}
"""Released configs leave out what is the same in every size."""
_WIDTHS: Mapping[Family, tuple[str, str]] = {
    "qwen2_vl": ("embed_dim", "hidden_size"),
    "qwen2_5_vl": ("hidden_size", LANGUAGE),
}
"""What a family calls the tower's own width, and the language model's."""
_OF_ALL = {"depth": 32, "num_heads": 16, "patch_size": 14, "temporal_patch_size": 2, "spatial_merge_size": 2}


class CheckpointError(ValueError):
    """A checkpoint folder cannot serve as this tower's weights; the message says why and what to do."""


def read_config(folder: Path) -> VisionConfig | None:
    """The tower that the folder's config.json describes, one of `MODELS` where it is that; None without the file.

    Raises CheckpointError for a config that cannot be read, and for a tower that is not supported.
    """
    path = folder / CONFIG
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):  # neither JSON nor text
        content = None
    if not isinstance(content, dict) or not isinstance(vision := content.get("vision_config", content), dict):
        raise CheckpointError(f"{path}: not a config with a 'vision_config'; download it again")
    kind = str(content.get("model_type", vision.get("model_type"))).removesuffix("_vision")
    if kind not in _DEFAULTS:
        raise CheckpointError(f"{path}: model_type is {kind!r:.40}; give a checkpoint of {' or '.join(_DEFAULTS)}")
    family = _FAMILIES[kind]
    try:
        found = _config(_name(folder), family, {**_OF_ALL, **_DEFAULTS[family], **vision})
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
        theirs, ours = getattr(told, field.name), getattr(config, field.name)
        if field.name not in ("name", LANGUAGE) and theirs != ours:
            return f"{folder / CONFIG}: {field.name} is {theirs!r} and that of {config.name} {ours!r}"
    return None


def _config(name: str, family: Family, told: Mapping[str, Any]) -> VisionConfig:
    width, language = (told[name] for name in _WIDTHS[family])
    activation = told["hidden_act"]
    if activation not in _ACTIVATIONS:
        raise ConfigError(f"{name}: hidden_act is {activation!r:.40}; supported are {', '.join(_ACTIVATIONS)}")
    windows = {"window_size": told["window_size"]} if "window_size" in _DEFAULTS[family] else {}
    if windows:
        windows["fullatt_block_indexes"] = tuple(told["fullatt_block_indexes"])
    sizes = {"patch_size": told["patch_size"], "merge_size": told["spatial_merge_size"]}
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
        preprocessing=Preprocessing(**sizes, temporal_patch_size=told["temporal_patch_size"]),
        **windows,
        **dict(FAMILIES[family]) | {"activation": _ACTIVATIONS[activation]},
    )


def _name(folder: Path) -> str:
    """A name for a model that is none of ours, which no tower's name can be mistaken for."""
    plain = re.sub(r"[^\w.-]+", "-", folder.resolve().name)[:60] or "checkpoint"
    return f"{plain}-changed" if plain in _PINNED else plain


_PINNED = frozenset(MODELS)
