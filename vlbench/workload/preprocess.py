"""Preprocessing as transformers does it: pictures in, and out rows of patches with a grid, or whole images."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from einops import rearrange
from PIL import Image

from vlbench.implementations.preprocessing import Fed, Grid, Images, Preprocessing

FloatArray = npt.NDArray[np.float32]
Number = TypeVar("Number", bound=np.generic)


def rows(frames: Sequence[Image.Image], grid: Grid, fed: Preprocessing) -> FloatArray:
    """Rows [t * h * w, fed.patch_dim] float32 of RGB `frames` brought to `grid` (t, h, w).

    Pillow's bicubic resize, normalisation, the last frame repeated to fill temporal patches, patches. Agrees with
    transformers' `Qwen2VLImageProcessorPil` to float32 rounding.
    """
    _, down, across = grid
    size = (across * fed.patch_size, down * fed.patch_size)
    resized = np.stack([np.asarray(frame.resize(size, Image.Resampling.BICUBIC)) for frame in frames])
    return patchify(pad_frames(normalise(resized, fed), fed.temporal_patch_size), fed)


def whole_images(frames: Sequence[Image.Image], fed: Images) -> FloatArray:
    """Images [frames, 3, H, W] float32 of RGB `frames`, each by itself: Pillow's bicubic resize, normalisation."""
    height, width = fed.sides
    resized = np.stack([np.asarray(frame.resize((width, height), Image.Resampling.BICUBIC)) for frame in frames])
    return np.ascontiguousarray(normalise(resized, fed).transpose(0, 3, 1, 2))


def normalise(frames: npt.NDArray[np.uint8], fed: Fed) -> FloatArray:
    """(frames / 255 - mean) / std as one affine step on the 8-bit values, for frames [T, H, W, 3]."""
    mean = np.asarray(fed.mean, dtype=np.float32) * 255
    std = np.asarray(fed.std, dtype=np.float32) * 255
    return (frames.astype(np.float32) - mean) / std


def pad_frames(frames: npt.NDArray[Number], temporal_patch_size: int) -> npt.NDArray[Number]:
    """Repeat the last frame of [T, ...] until T is a multiple of `temporal_patch_size`.

    A still image (T = 1) is thereby copied to fill its patch, as all Qwen-VL processors do.
    """
    missing = -len(frames) % temporal_patch_size
    return np.concatenate([frames, np.repeat(frames[-1:], missing, axis=0)])


def patchify(frames: npt.NDArray[Number], fed: Preprocessing) -> npt.NDArray[Number]:
    """Rows [N, 3 * tp * P * P] of frames [T, H, W, 3]; T, H and W are multiples of tp, m * P and m * P.

    The m x m patches that merge into one token lie next to each other: rows run over (t, cell row, cell
    column, patch row in the cell, patch column in the cell) and values in a row over (channel, frame, pixel
    row, pixel column).
    """
    return rearrange(
        frames,
        "(t tp) (h mh ph) (w mw pw) c -> (t h w mh mw) (c tp ph pw)",
        tp=fed.temporal_patch_size,
        mh=fed.merge_size,
        mw=fed.merge_size,
        ph=fed.patch_size,
        pw=fed.patch_size,
    )
