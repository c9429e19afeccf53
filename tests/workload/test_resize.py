from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import assume, given, strategies as st
from transformers.models.qwen2_vl import image_processing_pil_qwen2_vl as oracle
from transformers.models.qwen3_vl.video_processing_qwen3_vl import smart_resize as resize_video_theirs

from vlbench.errors import UsageError
from vlbench.implementations.preprocessing import QWEN3, Preprocessing
from vlbench.workload.resize import CLASS_MAX_PIXELS, HUB_MAX_PIXELS, patch_grid, resize_video, smart_resize

HUB = Preprocessing()
ONE_M = Preprocessing(max_pixels=CLASS_MAX_PIXELS)
SIDE = st.integers(1, 6000)


@given(SIDE, SIDE, st.sampled_from([28, 32]), st.sampled_from([HUB_MAX_PIXELS, CLASS_MAX_PIXELS, 602_112]))
def test_agrees_with_transformers(height: int, width: int, factor: int, max_pixels: int) -> None:
    assume(max(height, width) <= 200 * min(height, width))
    ours = smart_resize(height, width, factor, 3136, max_pixels)
    assert ours == oracle.smart_resize(height, width, factor, 3136, max_pixels)
    assert all(side % factor == 0 and side > 0 for side in ours)


@pytest.mark.parametrize(("side", "resized"), [(42, 56), (70, 56), (98, 112), (126, 112)])
def test_a_half_rounds_to_even(side: int, resized: int) -> None:
    assert smart_resize(side, 280, 28, 3136, HUB_MAX_PIXELS) == (resized, 280)


@pytest.mark.parametrize(
    ("height", "width", "hub", "one_m"),
    [
        (56, 84, (4, 6), (4, 6)),
        (480, 640, (34, 46), (34, 46)),
        (720, 1280, (52, 92), (52, 92)),
        (1080, 1920, (78, 138), (52, 94)),
        (2200, 1700, (158, 122), (80, 62)),
        (2400, 1080, (172, 78), (106, 48)),
        (3024, 4032, (216, 288), (60, 82)),
    ],
)
def test_grids_of_common_sizes(height: int, width: int, hub: tuple[int, int], one_m: tuple[int, int]) -> None:
    assert patch_grid(1, height, width, HUB) == (1, *hub)
    assert patch_grid(1, height, width, ONE_M) == (1, *one_m)


@pytest.mark.parametrize(("frames", "t"), [(1, 1), (2, 1), (3, 2), (16, 8)])
def test_two_frames_make_a_temporal_patch(frames: int, t: int) -> None:
    assert patch_grid(frames, 56, 56, HUB) == (t, 4, 4)


def test_aspect_ratio_of_200_is_the_last_that_is_accepted() -> None:
    assert smart_resize(10, 2000, 28, 3136, HUB_MAX_PIXELS) == (28, 812)
    with pytest.raises(UsageError, match=r"10x2001 has an aspect ratio of 200\.1, above the 200"):
        smart_resize(10, 2001, 28, 3136, HUB_MAX_PIXELS)


@pytest.mark.parametrize(
    ("height", "width", "least", "most", "resized"),
    [
        (45, 70, 3136, HUB_MAX_PIXELS, (56, 56)),  # just as many as the least: not enlarged, which would give 56x84
        (28, 5000, 784, 784 * 20, (28, 1652)),  # shrunk by its area alone, it would have no height
    ],
)
def test_the_edges_of_the_area(height: int, width: int, least: int, most: int, resized: tuple[int, int]) -> None:
    assert smart_resize(height, width, 28, least, most) == resized
    assert oracle.smart_resize(height, width, 28, least, most) == resized


# Videos of Qwen3-VL.

LENGTHS = (*range(2, 12), 31, 32, 120, 768)
SIDES = (1, 2, 15, 16, 31, 32, 33, 47, 48, 80, 112, 333, 720, 1080, 1280, 1920, 4000)
LIMITS = ((4_096, 25_165_824), (131_072, 786_432))
"""Of the released files, and of transformers' class."""


@pytest.mark.parametrize("limits", LIMITS)
def test_videos_agree_with_transformers(limits: tuple[int, int]) -> None:
    spec, seen = replace(QWEN3, video_pixels=limits), set()
    for frames, height, width in product(LENGTHS, SIDES, SIDES):
        bounds = dict(zip(("min_pixels", "max_pixels"), limits, strict=True))
        try:
            wanted = resize_video_theirs(frames, height, width, temporal_factor=2, factor=32, **bounds)
        except ValueError:
            with pytest.raises(UsageError, match="above the 200 that Qwen-VL accepts"):
                resize_video(frames, height, width, spec)
            continue
        assert resize_video(frames, height, width, spec) == wanted, (frames, height, width)
        seen.add(wanted)
    assert len(seen) > 100


def test_a_video_of_one_frame_is_none() -> None:
    with pytest.raises(ValueError, match="temporal_factor"):
        resize_video_theirs(1, 480, 640, factor=32)
    with pytest.raises(UsageError, match="a video of 1 frame is too short; give at least 2"):
        patch_grid(1, 480, 640, QWEN3, is_video=True)


def test_a_video_has_its_own_limits_and_a_picture_keeps_its_own() -> None:
    assert patch_grid(1, 64, 64, QWEN3) == (1, 16, 16)  # enlarged to 65,536 pixels
    assert patch_grid(5, 64, 64, QWEN3, is_video=True) == (3, 4, 4)
    assert patch_grid(5, 64, 64, Preprocessing(), is_video=True) == (3, 4, 4)
    assert patch_grid(120, 720, 1280, QWEN3, is_video=True) == (60, 20, 38)
    assert patch_grid(1, 512, 512, QWEN3) == (1, 32, 32)
    assert patch_grid(1, 1080, 1920, QWEN3) == (1, 68, 120)
