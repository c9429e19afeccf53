"""Which size a picture gets before it is cut into patches: the Qwen-VL `smart_resize` rule.

Plain arithmetic, so that grids can be known without touching a pixel.
"""

import math

from vlbench.errors import UsageError
from vlbench.implementations.preprocessing import HUB_MAX_PIXELS as HUB_MAX_PIXELS, Grid, Preprocessing

CLASS_MAX_PIXELS = 1280 * 28 * 28
"""`max_pixels` of the transformers image processor class when no file says otherwise: 1,003,520."""
MAX_ASPECT = 200


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


def resize_video(frames: int, height: int, width: int, fed: Preprocessing) -> tuple[int, int]:
    """The size, in pixels, that the frames of a video are resized to by the limits of `fed.video_pixels`.

    The area of all frames goes between them, where frames count as temporal patches rounded to even at a half. A side
    below `fed.factor` is first brought to it. Raises `UsageError` above an aspect ratio of 200, and for fewer frames
    than a temporal patch has.

    Source: `smart_resize` of transformers' Qwen3-VL video processor.
    """
    if frames < fed.temporal_patch_size:
        raise UsageError(f"a video of {frames} frame is too short; give at least {fed.temporal_patch_size}")
    assert fed.video_pixels is not None
    factor, (least, most) = fed.factor, fed.video_pixels
    if min(height, width) < factor:
        enlarge = max(factor / height, factor / width)
        height, width = int(height * enlarge), int(width * enlarge)
    check_aspect(height, width)
    counted = round(frames / fed.temporal_patch_size) * fed.temporal_patch_size
    rounded_height, rounded_width = round(height / factor) * factor, round(width / factor) * factor
    if counted * rounded_height * rounded_width > most:
        shrink = math.sqrt(frames * height * width / most)
        rounded_height = max(factor, math.floor(height / shrink / factor) * factor)
        rounded_width = max(factor, math.floor(width / shrink / factor) * factor)
    elif counted * rounded_height * rounded_width < least:
        enlarge = math.sqrt(least / (frames * height * width))
        rounded_height = math.ceil(height * enlarge / factor) * factor
        rounded_width = math.ceil(width * enlarge / factor) * factor
    return rounded_height, rounded_width


def patch_grid(frames: int, height: int, width: int, fed: Preprocessing, *, is_video: bool = False) -> Grid:
    """The grid (t, h, w) in patches of `frames` pictures of height x width pixels; a still image has one."""
    if is_video and fed.video_pixels:
        resized_height, resized_width = resize_video(frames, height, width, fed)
    else:
        resized_height, resized_width = smart_resize(height, width, fed.factor, fed.min_pixels, fed.max_pixels)
    t = math.ceil(frames / fed.temporal_patch_size)
    return t, resized_height // fed.patch_size, resized_width // fed.patch_size
