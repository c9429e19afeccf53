"""Which size a picture gets before it is cut into patches: the Qwen-VL `smart_resize` rule.

Plain arithmetic, so that grids can be known without touching a pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from vlbench.errors import UsageError

HUB_MAX_PIXELS = 16384 * 28 * 28
"""`max_pixels` of the preprocessor files beside the released checkpoints: 12,845,056."""
CLASS_MAX_PIXELS = 1280 * 28 * 28
"""`max_pixels` of the transformers image processor class when no file says otherwise: 1,003,520."""
MAX_ASPECT = 200

Grid = tuple[int, int, int]
"""Temporal patches, patches down, patches across."""


@dataclass(frozen=True)
class PatchSpec:
    """What a model family asks of its pixels. The defaults are those of Qwen2-VL and Qwen2.5-VL."""

    patch_size: int = 14
    """Side of a patch in pixels."""
    temporal_patch_size: int = 2
    """Frames in a patch."""
    merge_size: int = 2
    """Side of the square of patches that becomes one token."""
    min_pixels: int = 56 * 56
    """A picture with fewer pixels is enlarged."""
    max_pixels: int = HUB_MAX_PIXELS
    """A picture with more pixels is shrunk; a scenario's own `limit` takes the place of this."""
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    """Mean of red, green and blue in 0..1 (OpenAI CLIP)."""
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)
    """Standard deviation of red, green and blue in 0..1 (OpenAI CLIP)."""

    @property
    def factor(self) -> int:
        """Pixels that both sides must be multiples of: one merged cell."""
        return self.patch_size * self.merge_size

    @property
    def patch_dim(self) -> int:
        """Values in one row of the output: channels x frames x rows x columns."""
        return 3 * self.temporal_patch_size * self.patch_size**2


def check_aspect(height: int, width: int) -> None:
    """Refuse a picture more than 200 times as long as it is wide, as every Qwen-VL processor does."""
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise UsageError(
            f"{height}x{width} has an aspect ratio of {max(height, width) / min(height, width):.1f}, "
            f"above the {MAX_ASPECT} that Qwen-VL accepts; make it less narrow"
        )


def smart_resize(height: int, width: int, factor: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """The size, in pixels, that a picture of `height` x `width` is resized to.

    Both sides become multiples of `factor`, the area goes between `min_pixels` and `max_pixels` and the
    aspect ratio is kept as far as that allows. Rounding is to even at a half, as Python's `round` does: 42
    pixels at factor 28 are 1.5 cells and become 56, 70 are 2.5 and become 56 too. Raises `UsageError` above
    an aspect ratio of 200.

    Source: `smart_resize` of qwen-vl-utils and of transformers' Qwen2-VL image processors.
    """
    check_aspect(height, width)
    rounded_height = round(height / factor) * factor
    rounded_width = round(width / factor) * factor
    if rounded_height * rounded_width > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        rounded_height = max(factor, math.floor(height / shrink / factor) * factor)
        rounded_width = max(factor, math.floor(width / shrink / factor) * factor)
    elif rounded_height * rounded_width < min_pixels:
        enlarge = math.sqrt(min_pixels / (height * width))
        rounded_height = math.ceil(height * enlarge / factor) * factor
        rounded_width = math.ceil(width * enlarge / factor) * factor
    return rounded_height, rounded_width


def patch_grid(frames: int, height: int, width: int, spec: PatchSpec) -> Grid:
    """The grid (t, h, w) in patches of `frames` pictures of height x width pixels; a still image has one."""
    resized_height, resized_width = smart_resize(height, width, spec.factor, spec.min_pixels, spec.max_pixels)
    t = math.ceil(frames / spec.temporal_patch_size)
    return t, resized_height // spec.patch_size, resized_width // spec.patch_size
