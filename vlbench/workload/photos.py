"""Pictures to feed in: the shipped photos or the user's own, cropped differently for every item."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from warnings import catch_warnings

from PIL import Image, ImageOps, UnidentifiedImageError

from vlbench.errors import UsageError
from vlbench.untrusted.files import Kind, read_bytes, size_of
from vlbench.untrusted.limits import Limit
from vlbench.workload.library import shipped_folder
from vlbench.workload.resize import check_aspect
from vlbench.workload.scenario import Item, ScenarioPoint

PICTURE = Kind(
    "make it smaller",
    Limit.PICTURE,
    absent="{path} does not exist; give the path of a picture",
    folder="{path} is a folder; name the pictures in it, such as {path}/*.jpg",
)
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "MPO", "AVIF")
"""Of pictures that are opened, where Pillow was built with them. Others may be programs, as PostScript is, or hold
pictures that are larger than their header says, as icons do."""
PLAIN = 16_000_000
"""Pixels that any file may hold, so that a plain picture of an ordinary size can be small."""
_SCAN = b"\xff\xda"
ORIENTATION, LYING = 0x0112, (5, 6, 7, 8)
"""EXIF's tag, and its values that turn a picture by a quarter."""
Box = tuple[float, float, float, float]


def shipped_photos() -> list[Path]:
    """The photos that come with vlbench, sorted by name; the README beside them has sources and licences."""
    return sorted((shipped_folder() / "photos").glob("*.jpg"))


def open_picture(path: Path) -> Image.Image:
    """The picture at `path` as RGB, turned upright as its EXIF orientation says, transparency laid on white.

    Takes `FORMATS`; of an animation, the first frame. Raises `UsageError`.
    """
    with _opened(path) as file:
        picture = ImageOps.exif_transpose(file)
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        raise UsageError(f"{path} has more than 8 bits a channel (mode {picture.mode}); save it as an 8-bit picture")
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")


def check_pictures(paths: Iterable[Path]) -> None:
    """Raise `UsageError` for one that is none, and for too many pixels, without decoding any."""
    pixels = size = 0
    for path in paths:
        with _opened(path) as file:
            pixels += file.width * file.height
        size += size_of(path, PICTURE)
        Limit.ALL_PIXELS.check(pixels, f"{path} with the pictures before it", "give fewer or smaller ones")
        _check_density(pixels, size, f"{path} with the pictures before it")


def own_sizes(paths: Iterable[Path]) -> ScenarioPoint:
    """What feeds these pictures in one call, each whole and at its own size. Raises `UsageError`."""
    items = []
    for path in paths:
        with _opened(path) as file:
            turned = file.getexif().get(ORIENTATION) in LYING
            height, width = (file.width, file.height) if turned else (file.height, file.width)
        try:
            check_aspect(height, width)
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from None
        items.append(Item(size=f"{height}x{width}"))
    return ScenarioPoint(scenario="images", item=tuple(items), whole=True)


def open_pictures(paths: Sequence[Path]) -> list[Image.Image]:
    """All of them, as `open_picture` gives them. Raises `UsageError`."""
    check_pictures(paths)
    return [open_picture(path) for path in paths]


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """A picture whose header is read and sound; what goes wrong while it is decoded is told as `UsageError`."""
    size = size_of(path, PICTURE)
    Image.init()
    formats = [each for each in FORMATS if each in Image.OPEN]
    try:
        with (
            catch_warnings(action="ignore", category=Image.DecompressionBombWarning),
            Image.open(path, formats=formats) as file,
        ):
            Limit.PIXELS.check(file.width * file.height, str(path), PICTURE.remedy)
            _check_density(file.width * file.height, size, str(path))
            if file.format in ("JPEG", "MPO"):
                Limit.SCANS.check(read_bytes(path, PICTURE).count(_SCAN), str(path), "save it anew")
            yield file
    except UsageError:
        raise
    except UnidentifiedImageError:
        known = ", ".join(formats)
        raise UsageError(f"{path} is not a picture that can be read ({known}); save it as JPEG or PNG") from None
    except Exception as error:  # a damaged file makes Pillow's plugins raise almost anything
        raise UsageError(f"{path} cannot be decoded ({error}); save it anew as JPEG or PNG") from None


def _check_density(pixels: int, size: int, name: str) -> None:
    """Refuse pixels that so few bytes do not explain: they would be unpacked to memory all the same."""
    Limit.PIXELS_PER_BYTE.check((pixels - PLAIN) // max(1, size), name, PICTURE.remedy)


def crop_frames(
    pictures: Sequence[Image.Image], index: int, size: tuple[int, int], frames: int, seed: int
) -> list[Image.Image]:
    """`frames` views of `size` (height, width) for item `index`: a slow pan over one of the pictures.

    Pictures are taken in turn, starting from another one with every seed. The crop has the aspect ratio of
    what is asked for, so nothing is stretched, and lies elsewhere for every item and seed; the same arguments
    give the same pixels. A still image is one frame.
    """
    height, width = size
    picture = pictures[(seed + index) % len(pictures)]
    random = Random(f"crop/{seed}/{index}")
    zoom = random.uniform(0.6, 0.95)
    crop_width = zoom * min(picture.width, picture.height * width / height)
    crop_height = crop_width * height / width
    free_x, free_y = picture.width - crop_width, picture.height - crop_height
    start, end = ((random.random() * free_x, random.random() * free_y) for _ in range(2))

    views = []
    for frame in range(frames):
        along = frame / max(1, frames - 1)
        x, y = (a + (b - a) * along for a, b in zip(start, end, strict=True))
        box: Box = (x, y, x + crop_width, y + crop_height)
        views.append(picture.resize((width, height), Image.Resampling.BICUBIC, box=box))
    return views
