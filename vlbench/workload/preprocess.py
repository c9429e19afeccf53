"""Qwen2-VL and Qwen2.5-VL preprocessing as transformers does it: pictures in, rows and a grid out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from vlbench.workload.patchify import FloatArray, normalise, pad_frames, patchify
from vlbench.workload.resize import Grid, PatchSpec, patch_grid


def preprocess(frames: Sequence[Image.Image], spec: PatchSpec) -> tuple[FloatArray, Grid]:
    """Rows and grid (t, h, w) of one image (a single frame) or one video, resized by the `smart_resize` rule.

    `frames` are RGB pictures of one size. Agrees with transformers' `Qwen2VLImageProcessorPil` to float32
    rounding.
    """
    width, height = frames[0].size
    grid = patch_grid(len(frames), height, width, spec)
    return rows(frames, grid, spec), grid


def rows(frames: Sequence[Image.Image], grid: Grid, spec: PatchSpec) -> FloatArray:
    """Rows [t * h * w, spec.patch_dim] float32 of RGB `frames` brought to `grid` (t, h, w).

    Pillow's bicubic resize, normalisation, the last frame repeated to fill temporal patches, patches.
    """
    _, down, across = grid
    size = (across * spec.patch_size, down * spec.patch_size)
    resized = np.stack([np.asarray(frame.resize(size, Image.Resampling.BICUBIC)) for frame in frames])
    return patchify(pad_frames(normalise(resized, spec), spec.temporal_patch_size), spec)
