from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from vlbench.errors import UsageError
from vlbench.implementations.preprocessing import Preprocessing
from vlbench.workload.batch import build_batch
from vlbench.workload.photos import crop_frames, open_picture, own_sizes, shipped_photos
from vlbench.workload.preprocess import rows

SIDES = st.integers(1, 300)


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture)


def test_the_photos_are_few_small_and_credited() -> None:
    photos = shipped_photos()
    assert 3 <= len(photos) <= 4
    assert sum(photo.stat().st_size for photo in photos) < 500_000
    readme = (photos[0].parent / "README.md").read_text()
    for photo in photos:
        (row,) = [line for line in readme.splitlines() if f"`{photo.name}`" in line]
        assert "CC0" in row or "public domain" in row


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [(".png", "RGB"), (".png", "L"), (".png", "P"), (".tiff", "CMYK"), (".bmp", "1"), (".webp", "RGB"), (".gif", "P")],
)
def test_every_format_becomes_rgb(tmp_path: Path, suffix: str, mode: str) -> None:
    file = tmp_path / f"picture{suffix}"
    Image.new("RGB", (30, 20), "white").convert(mode).save(file)
    opened = open_picture(file)
    assert (opened.mode, opened.size) == ("RGB", (30, 20))
    assert pixels(opened).min() >= 254


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert pixels(open_picture(tmp_path / "clear.png")).min() == 255


def test_the_picture_is_turned_as_its_exif_orientation_says(tmp_path: Path) -> None:
    picture = Image.new("RGB", (30, 20))
    exif = picture.getexif()
    exif[0x0112] = 6  # held a quarter turn to the left
    picture.save(tmp_path / "turned.jpg", exif=exif)
    assert open_picture(tmp_path / "turned.jpg").size == (20, 30)


def test_files_that_are_no_picture_are_answered_with_one_sentence(tmp_path: Path) -> None:
    text, cut, deep = tmp_path / "text.png", tmp_path / "cut.jpg", tmp_path / "deep.png"
    text.write_text("not a picture")
    whole = shipped_photos()[0].read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    Image.new("I;16", (8, 8), 40_000).save(deep)
    cases = {
        tmp_path / "absent.png": "does not exist; give the path of a picture",
        tmp_path: "is a folder; name the pictures in it",
        text: "is not a picture that can be read .*; save it as JPEG or PNG",
        cut: "cannot be decoded .*; save it anew as JPEG or PNG",
        deep: "has more than 8 bits a channel .*; save it as an 8-bit picture",
    }
    for path, sentence in cases.items():
        with pytest.raises(UsageError, match=sentence) as raised:
            open_picture(path)
        assert str(raised.value).startswith(str(path))


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UsageError, match=r"bomb\.png cannot be decoded"):
        open_picture(tmp_path / "bomb.png")


@settings(max_examples=50, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 100), st.integers(0, 100))
def test_crops_of_any_picture_have_the_wanted_size(h: int, w: int, height: int, width: int, i: int, seed: int) -> None:
    (crop,) = crop_frames([Image.new("RGB", (w, h))], i, (height, width), 1, seed)
    assert crop.size == (width, height)


def test_crops_repeat_by_seed_and_differ_by_item_and_seed() -> None:
    photos = [open_picture(photo) for photo in shipped_photos()]

    def crop(index: int, seed: int) -> bytes:
        return crop_frames(photos, index, (56, 84), 1, seed)[0].tobytes()

    assert crop(0, 0) == crop(0, 0)
    assert len({crop(index, seed) for index in range(8) for seed in range(4)}) == 32


def test_the_frames_of_a_video_pan_over_one_picture() -> None:
    photos = [open_picture(photo) for photo in shipped_photos()]
    frames = [pixels(frame).astype(int) for frame in crop_frames(photos, 0, (56, 84), 8, 0)]
    steps = [np.abs(after - before).mean() for before, after in pairwise(frames)]
    assert all(0 < step < np.abs(frames[-1] - frames[0]).mean() for step in steps)


def test_pictures_of_ones_own_are_fed_whole_and_at_their_own_sizes(tmp_path: Path) -> None:
    wide, turned = tmp_path / "wide.png", tmp_path / "turned.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (112, 280, 3), dtype=np.uint8)).save(wide)
    picture = Image.new("RGB", (168, 84), "red")
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(turned, exif=exif)
    found = own_sizes([wide, turned, wide])
    assert [item.size for item in found.item] == ["112x280", "168x84", "112x280"]
    for seed in (0, 1):
        batch = build_batch(found, seed=seed, fed=Preprocessing(), images=[wide, turned, wide])
        assert batch.grids == ((1, 8, 20), (1, 12, 6), (1, 8, 20))
        whole = rows([open_picture(wide)], (1, 8, 20), Preprocessing())
        assert np.array_equal(batch.pixels[:160].numpy(), whole)
        assert np.array_equal(batch.pixels[-160:].numpy(), whole)


def test_a_picture_that_is_too_narrow_is_named(tmp_path: Path) -> None:
    Image.new("RGB", (1000, 4)).save(tmp_path / "line.png")
    with pytest.raises(UsageError, match=r"line\.png: 4x1000 has an aspect ratio of 250\.0"):
        own_sizes([tmp_path / "line.png"])
