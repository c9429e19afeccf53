"""The table of limits is the one in the documentation, and what asks for too much is refused before it is built."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from vlbench.errors import UsageError
from vlbench.implementations.preprocessing import Preprocessing
from vlbench.untrusted.checkpoints import check_checkpoint
from vlbench.untrusted.files import integer, read_toml
from vlbench.untrusted.limits import Limit, limit_table
from vlbench.workload.batch import grids_only
from vlbench.workload.library import SCENARIO, load_scenario
from vlbench.workload.photos import open_picture, open_pictures

HEAD = 'title = "t"\nstands_for = "s"\n'
THOUSAND = str(list(range(1, 1_001)))
VALUES = str(list(range(1, 101)))


@pytest.fixture(autouse=True)
def _at_once() -> Iterator[None]:
    begun = time.perf_counter()
    yield
    assert time.perf_counter() - begun < 5


def test_the_documentation_has_the_table() -> None:
    assert limit_table() in (Path(__file__).parents[2] / "docs" / "limits.md").read_text()


def test_a_limit_is_what_is_still_taken() -> None:
    Limit.DIGITS.check(20, "a", "b")
    with pytest.raises(UsageError, match=r"^a is above the limit of 20 digits of an integer; b \(docs/limits\.md"):
        Limit.DIGITS.check(21, "a", "b")


@pytest.mark.parametrize("text", ["0", "-12345678901234567890", str(2**64 - 1)])
def test_integers_of_64_bits_are_taken(text: str) -> None:
    assert integer(text) == int(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[[item]]\nsize = "56x56"\ncount = 1000000000000\n', r"item\[0\]\.count: .* less than or equal to 65536"),
        ('[[item]]\nsize = "56x56"\ncount = 60000\n' * 2, "the sum of all count is above the limit"),
        (f'limit = {THOUSAND}\n[[item]]\nsize = "56x56"\ncount = {THOUSAND}\n', "sweep fewer values"),
        (f'[[item]]\nsize = "56x56"\ncount = {VALUES}\n' * 3, "the product of all lists is above the limit"),
        (
            '[[item]]\nkind = "video"\nframes = 1000000000000\nsize = "56x56"\n',
            r"frames: .* less than or equal to 4096",
        ),
        ('[mix]\nrequests = 1000000000000\ntoken_budget = 9\ndistribution = "d"\n', "requests: .* or equal to 100000"),
        ("a" + ".a" * 10_000 + " = 1\n", "levels of JSON or TOML"),
        ('["a"' + " . 'a'" * 100 + "]\n", "levels of JSON or TOML"),
        ("a = " + "[" * 10_000, "nested too deep"),
        ("a = " + "{a=" * 7_000, "nested too deep"),
        ("a = " + "[" * 100 + "]" * 100, "levels of JSON or TOML"),
        (f"limit = {'9' * 5_000}\n", "too large an integer"),
        (f"limit = 0x{'f' * 5_000}\n", "an integer is above the limit of 20 digits"),
        (f"# {' ' * 40_000}\n", "is above the limit of 32,768 bytes of a scenario"),
    ],
)
def test_a_scenario_that_asks_for_too_much(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(HEAD + text)
    with pytest.raises(UsageError, match=sentence) as caught:
        load_scenario(str(path))
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) < 1_000


def test_prose_with_many_dots_is_no_key(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(f'title = "{"a. b, " * 100}{"." * 500}"\n')
    assert list(read_toml(path, SCENARIO)) == ["title"]


def test_a_point_of_too_many_patches(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(HEAD + '[[item]]\ngrid = "100x100"\ncount = 1000\n')
    (point,) = load_scenario(str(path)).points("cpu")
    with pytest.raises(UsageError, match="4,194,304 patches of one point"):
        grids_only(point, 0, Preprocessing())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"image_count": {"1000000000000": 1}}, "pictures and videos of one point"),
        ({"image_tokens": {"1000000000000": 1}}, "image_tokens.* less than or equal to 1000000"),
    ],
)
def test_a_distribution_that_asks_for_too_much(tmp_path: Path, change: dict[str, object], sentence: str) -> None:
    sound = {"credit": "c", "image_count": {"1": 1}, "image_tokens": {"6": 1}}
    (tmp_path / "d.json").write_text(json.dumps(sound | change))
    path = tmp_path / "own.toml"
    budget = 10**15
    path.write_text(HEAD + f'[mix]\nrequests = 100000\ntoken_budget = {budget}\ndistribution = "d.json"\n')
    with pytest.raises(UsageError, match=sentence):
        grids_only(load_scenario(str(path)).points("cpu")[0], 0, Preprocessing())


def picture(path: Path, side: int) -> Path:
    """A PNG that is small as a file."""
    Image.new("1", (side, side)).save(path)
    return path


def test_a_picture_of_too_many_pixels_is_not_decoded(tmp_path: Path) -> None:
    path = picture(tmp_path / "large.png", 13_000)
    assert path.stat().st_size < 100_000
    with pytest.raises(UsageError, match=r"large\.png is above the limit of 50,000,000 pixels"):
        open_picture(path)
    with pytest.raises(UsageError, match=r"large\.png is above"):
        open_pictures([path] * 10)


def test_pictures_of_too_many_pixels_together_are_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.frombytes("1", (7_000, 7_000), random.Random(0).randbytes(7_000 * 875)).save(path, compress_level=0)
    with pytest.raises(UsageError, match=r"large\.png with the pictures before it is above the limit of 200,000,000"):
        open_pictures([path] * 5)


def test_a_picture_holds_no_more_pixels_than_its_bytes_explain(tmp_path: Path) -> None:
    path = picture(tmp_path / "plain.png", 7_000)
    for opened in (lambda: open_picture(path), lambda: open_pictures([picture(tmp_path / "plain.png", 3_999)] * 4)):
        with pytest.raises(UsageError, match=r"plain\.png.* is above the limit of 100 pixels for each byte"):
            opened()
    assert open_picture(picture(tmp_path / "ordinary.png", 3_999)).size == (3_999, 3_999)


def test_a_jpeg_of_many_scans_is_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "scans.jpg"
    Image.new("L", (64, 64)).save(path, progressive=True)
    whole = path.read_bytes()
    assert open_picture(path).size == (64, 64)
    at = whole.rindex(b"\xff\xda")  # the last of its scans, again and again
    path.write_bytes(whole[:at] + whole[at:-2] * 1_000 + whole[-2:])
    with pytest.raises(UsageError, match=r"scans\.jpg is above the limit of 100 scans of a JPEG"):
        open_picture(path)


@pytest.mark.parametrize("kind", ["ICO", "ICNS", "PPM", "TGA", "PDF"])
def test_a_picture_of_another_format_is_none(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind.lower()}"
    Image.new("RGB", (32, 32)).save(path, kind)
    with pytest.raises(UsageError, match="not a picture that can be read"):
        open_picture(path)


def test_a_picture_that_is_a_program_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nquit\n%%EOF\n")
    with pytest.raises(UsageError, match="not a picture that can be read"):
        open_picture(path)


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/passwd", "a/b.safetensors"])
def test_a_checkpoint_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(UsageError, match="is no file of the folder itself"):
        check_checkpoint(tmp_path)


def test_a_checkpoint_with_a_header_of_gigabytes(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes((1 << 40).to_bytes(8, "little") + b"{}")
    with pytest.raises(UsageError, match=r"model\.safetensors: the header is above the limit"):
        check_checkpoint(tmp_path)
