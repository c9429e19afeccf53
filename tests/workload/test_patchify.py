from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlbench.implementations.preprocessing import Preprocessing
from vlbench.workload.patchify import normalise, pad_frames, patchify

SPEC = Preprocessing()
SMALL = Preprocessing(patch_size=2)


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
