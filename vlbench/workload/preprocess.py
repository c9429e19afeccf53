"""Preprocessing as transformers does it: pictures in, and out rows of patches with a grid, or whole images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from vlbench.implementations.preprocessing import Grid, Images, Preprocessing
from vlbench.workload.patchify import FloatArray, normalise, pad_frames, patchify
from vlbench.workload.resize import patch_grid


def preprocess(frames: Sequence[Image.Image], fed: Preprocessing) -> tuple[FloatArray, Grid]:
    """Rows and grid (t, h, w) of one image (a single frame) or one video, resized by the `smart_resize` rule.

    `frames` are RGB pictures of one size. Agrees with transformers' `Qwen2VLImageProcessorPil` to float32
    rounding.
    """
    width, height = frames[0].size
    grid = patch_grid(len(frames), height, width, fed)
    return rows(frames, grid, fed), grid


def rows(frames: Sequence[Image.Image], grid: Grid, fed: Preprocessing) -> FloatArray:
    """Rows [t * h * w, fed.patch_dim] float32 of RGB `frames` brought to `grid` (t, h, w).

    Pillow's bicubic resize, normalisation, the last frame repeated to fill temporal patches, patches.
    """
    _, down, across = grid
    size = (across * fed.patch_size, down * fed.patch_size)
    resized = np.stack([np.asarray(frame.resize(size, Image.Resampling.BICUBIC)) for frame in frames])
    return patchify(pad_frames(normalise(resized, fed), fed.temporal_patch_size), fed)


def whole(frames: Sequence[Image.Image], fed: Images) -> FloatArray:
    """Images [frames, 3, H, W] float32 of RGB `frames`, each by itself: Pillow's bicubic resize, normalisation."""
    height, width = fed.sides
    resized = np.stack([np.asarray(frame.resize((width, height), Image.Resampling.BICUBIC)) for frame in frames])
    return np.ascontiguousarray(normalise(resized, fed).transpose(0, 3, 1, 2))
