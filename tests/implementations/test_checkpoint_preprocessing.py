"""What a checkpoint's preprocessor files say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vlbench.implementations.checkpoint_config import difference, read_config
from vlbench.implementations.config import MODELS
from vlbench.implementations.preprocessing import QWEN3, Preprocessing
from vlbench.implementations.weights import CheckpointError


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
