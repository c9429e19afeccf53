"""From 8-bit frames to the rows a vision tower reads: normalise, then cut into patches in merge order."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
from einops import rearrange

from vlbench.implementations.preprocessing import Fed, Preprocessing

FloatArray = npt.NDArray[np.float32]
Number = TypeVar("Number", bound=np.generic)


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
