"""What a checkpoint's tower is fed by the preprocessor files beside it, which say more than its config.json does."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .preprocessing import Preprocessing

IMAGES = "preprocessor_config.json"
VIDEOS = "video_preprocessor_config.json"
ALWAYS: Mapping[str, object] = {
    "do_resize": True,
    "do_rescale": True,
    "do_normalize": True,
    "do_center_crop": False,
    "do_pad": False,
    "rescale_factor": 1 / 255,
    "resample": 3,
}
"""What every released checkpoint says or leaves out, and nothing else is computed here. 3 is bicubic."""


class CheckpointError(ValueError):
    """A checkpoint folder cannot serve as this tower's weights; the message says why and what to do."""


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a checkpoint. Raises CheckpointError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):  # neither JSON nor text
        content = None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: not a JSON object; download it again")
    return content


def one_side(value: Any) -> Any:
    """The side of a patch, or its frames: a number, or of a list of equal numbers the first."""
    several = isinstance(value, list | tuple) and value and all(each == value[0] for each in value)
    return value[0] if several else value


def read_preprocessing(folder: Path, fed: Preprocessing) -> Preprocessing:
    """`fed` with the limits and colours of the folder's preprocessor files, where it has them.

    Raises CheckpointError for a file that says what is not computed here, or other patches than config.json.
    """
    if (path := folder / IMAGES).is_file():
        told = read_object(path)
        least, most = _limits(path, told, (fed.min_pixels, fed.max_pixels))
        colours = {"mean": _colour(told.get("image_mean"), fed.mean), "std": _colour(told.get("image_std"), fed.std)}
        fed = _with(path, told, fed, min_pixels=least, max_pixels=most, **colours)
    if fed.video_pixels is not None and (path := folder / VIDEOS).is_file():
        told = read_object(path)
        fed = _with(path, told, fed, video_pixels=_limits(path, told, fed.video_pixels))
    return fed


def _colour(told: object, usual: object) -> object:
    return tuple(told) if isinstance(told, list) else usual if told is None else told


def _limits(path: Path, told: Mapping[str, Any], usual: tuple[int, int]) -> tuple[Any, Any]:
    """Fewest and most pixels, by the newer name inside `size` or the older one beside it, which wins."""
    size = told["size"] if isinstance(told.get("size"), dict) else {}
    names = (("min_pixels", "shortest_edge"), ("max_pixels", "longest_edge"))
    if strange := size.keys() - {each for pair in names for each in pair}:
        raise CheckpointError(f"{path}: size has {min(strange)!r:.40}; supported are shortest_edge and longest_edge")
    found = [[told.get(old), size.get(old), size.get(new)] for old, new in names]
    least, most = (next((each for each in three if each is not None), None) for three in found)
    return usual[0] if least is None else least, usual[1] if most is None else most


def _with(path: Path, told: Mapping[str, Any], fed: Preprocessing, **changes: Any) -> Preprocessing:
    for name, value in ALWAYS.items():
        if told.get(name) not in (None, value):
            raise CheckpointError(f"{path}: {name} is {told[name]!r:.40}, and only {value!r} is supported")
    for name in ("patch_size", "temporal_patch_size", "merge_size"):
        theirs, ours = one_side(told.get(name)), getattr(fed, name)
        if theirs not in (None, ours):
            told_twice = f"{name} is {theirs!r:.40} and that of config.json {ours}"
            raise CheckpointError(f"{path}: {told_twice}; download both again")
    try:
        return replace(fed, **changes)
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: {error}; download it again") from None
