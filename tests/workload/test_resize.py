from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from transformers.models.qwen2_vl import image_processing_pil_qwen2_vl as oracle

from vlbench.errors import UsageError
from vlbench.implementations.preprocessing import Preprocessing
from vlbench.workload.resize import CLASS_MAX_PIXELS, HUB_MAX_PIXELS, patch_grid, smart_resize

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
