from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image
from transformers import Qwen2VLImageProcessorPil

from vlbench.implementations.preprocessing import QWEN3, Grid, Preprocessing
from vlbench.workload.photos import open_picture, shipped_photos
from vlbench.workload.preprocess import FloatArray, normalise, pad_frames, patchify, rows
from vlbench.workload.resize import CLASS_MAX_PIXELS, HUB_MAX_PIXELS, patch_grid

SPEC = Preprocessing()
SMALL = Preprocessing(patch_size=2)


def preprocess(frames: list[Image.Image], spec: Preprocessing) -> tuple[FloatArray, Grid]:
    """Rows and grid of one image or video."""
    width, height = frames[0].size
    grid = patch_grid(len(frames), height, width, spec)
    return rows(frames, grid, spec), grid


def assert_agrees(picture: Image.Image, spec: Preprocessing) -> None:
    oracle = Qwen2VLImageProcessorPil(
        size={"shortest_edge": spec.min_pixels, "longest_edge": spec.max_pixels},
        patch_size=spec.patch_size,
        image_mean=list(spec.mean),
        image_std=list(spec.std),
    )([picture], return_tensors="np")
    made, grid = preprocess([picture], spec)
    assert oracle["image_grid_thw"].tolist() == [list(grid)]
    assert made.shape == oracle["pixel_values"].shape == (grid[1] * grid[2], spec.patch_dim)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, oracle["pixel_values"], atol=1e-5, rtol=0)


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


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 500), st.integers(1, 500), st.sampled_from([65_536, 200_000]), st.integers(0, 2**32 - 1))
def test_agrees_with_transformers_as_qwen3_calls_it(h: int, w: int, max_pixels: int, seed: int) -> None:
    h, w = max(h, -(-w // 200)), max(w, -(-h // 200))
    pixels = np.random.default_rng(seed).integers(0, 256, (h, w, 3), dtype=np.uint8)
    assert_agrees(Image.fromarray(pixels), replace(QWEN3, max_pixels=max_pixels))


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


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.sampled_from([1, 2, 3]), st.integers(1, 3))
def test_every_value_lands_where_its_indices_say(t: int, down: int, across: int, patch: int, merge: int) -> None:
    spec = Preprocessing(patch_size=patch, merge_size=merge)
    frames, height, width = 2 * t, down * merge * patch, across * merge * patch
    numbered = np.arange(frames * height * width * 3).reshape(frames, height, width, 3)
    expected = [
        [
            numbered[2 * i + f, (cell_y * merge + my) * patch + y, (cell_x * merge + mx) * patch + x, channel]
            for channel in range(3)
            for f in range(2)
            for y in range(patch)
            for x in range(patch)
        ]
        for i in range(t)
        for cell_y in range(down)
        for cell_x in range(across)
        for my in range(merge)
        for mx in range(merge)
    ]
    np.testing.assert_array_equal(patchify(numbered, spec), expected)


@pytest.mark.parametrize(("given_frames", "padded"), [([7], [7, 7]), ([1, 2], [1, 2]), ([1, 2, 3], [1, 2, 3, 3])])
def test_the_last_frame_fills_the_last_temporal_patch(given_frames: list[int], padded: list[int]) -> None:
    assert pad_frames(np.array(given_frames), 2).tolist() == padded


def test_a_video_of_equal_frames_has_the_rows_of_the_still_image_again_and_again() -> None:
    still = np.random.default_rng(0).normal(size=(1, 8, 12, 3)).astype(np.float32)
    rows = patchify(pad_frames(still, 2), SMALL)
    video = patchify(np.repeat(still, 6, axis=0), SMALL)
    np.testing.assert_array_equal(video, np.tile(rows, (3, 1)))


def test_normalise_is_the_textbook_formula() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    textbook = (values / 255 - np.array(SPEC.mean)) / np.array(SPEC.std)
    assert normalise(values, SPEC).dtype == np.float32
    np.testing.assert_allclose(normalise(values, SPEC), textbook, atol=1e-6)
