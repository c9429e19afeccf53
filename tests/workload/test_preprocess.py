from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import Qwen2VLImageProcessorPil

from vlbench.implementations.preprocessing import Preprocessing
from vlbench.workload.photos import open_picture, shipped_photos
from vlbench.workload.preprocess import preprocess
from vlbench.workload.resize import CLASS_MAX_PIXELS, HUB_MAX_PIXELS


def assert_agrees(picture: Image.Image, spec: Preprocessing) -> None:
    oracle = Qwen2VLImageProcessorPil(
        size={"shortest_edge": spec.min_pixels, "longest_edge": spec.max_pixels}, patch_size=spec.patch_size
    )([picture], return_tensors="np")
    rows, grid = preprocess([picture], spec)
    assert oracle["image_grid_thw"].tolist() == [list(grid)]
    assert rows.shape == oracle["pixel_values"].shape == (grid[1] * grid[2], spec.patch_dim)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, oracle["pixel_values"], atol=1e-5, rtol=0)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.sampled_from([14, 16]),
    st.sampled_from([40_000, CLASS_MAX_PIXELS]),
    st.integers(0, 2**32 - 1),
)
def test_agrees_with_transformers_on_any_size(h: int, w: int, patch: int, max_pixels: int, seed: int) -> None:
    h, w = max(h, -(-w // 200)), max(w, -(-h // 200))
    pixels = np.random.default_rng(seed).integers(0, 256, (h, w, 3), dtype=np.uint8)
    assert_agrees(Image.fromarray(pixels), Preprocessing(patch_size=patch, max_pixels=max_pixels))


@pytest.mark.parametrize("max_pixels", [HUB_MAX_PIXELS, 50_000])
@pytest.mark.parametrize("photo", shipped_photos(), ids=lambda path: path.stem)
def test_agrees_with_transformers_on_the_photos(photo: Path, max_pixels: int) -> None:
    assert_agrees(open_picture(photo), Preprocessing(max_pixels=max_pixels))


def test_a_video_of_equal_frames_is_the_still_image_in_every_temporal_patch() -> None:
    picture = open_picture(shipped_photos()[0]).resize((131, 77))
    still, (_, down, across) = preprocess([picture], Preprocessing())
    video, grid = preprocess([picture] * 5, Preprocessing())
    assert grid == (3, down, across)
    np.testing.assert_array_equal(video, np.tile(still, (3, 1)))


def test_frames_of_a_video_keep_their_order() -> None:
    frames = [Image.new("RGB", (56, 56), (shade, shade, shade)) for shade in (0, 100, 200)]
    rows, grid = preprocess(frames, Preprocessing())
    red = rows.reshape(grid[0], 16, 3, 2, 14, 14)[:, :, 0]
    shades = red * 255 * 0.26862954 + 255 * 0.48145466
    expected = np.array([[0, 100], [200, 200]]).reshape(2, 1, 2, 1, 1)
    np.testing.assert_allclose(shades, np.broadcast_to(expected, shades.shape), atol=1e-3)
