"""What a vision tower is fed: rows of patches with their grids, or whole images. Plain arithmetic; imports no torch."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

Grid = tuple[int, int, int]
"""Of one image or video: temporal patches, patches down, patches across. Of an image that is fed whole: 1 and its
height and width in pixels."""
Colour = tuple[float, float, float]

LARGEST = 2**31 - 1
SEVERAL: tuple[Grid, ...] = ((1, 1, 2), (2, 1, 2), (1, 2, 1))
"""A call of several small items: frames, and rows and columns in merged cells."""
FIVE: tuple[Grid, ...] = (*SEVERAL, (1, 2, 2), (1, 1, 2))
HUB_MAX_PIXELS = 16384 * 28 * 28
"""`max_pixels` of the preprocessor files beside the released Qwen2-VL and Qwen2.5-VL checkpoints: 12,845,056."""


@dataclass(frozen=True)
class Preprocessing:
    """Patches with grids, for towers called as `(pixels [N, patch_dim], grid_thw [items, 3])`.

    The defaults are those of Qwen2-VL and Qwen2.5-VL. Raises ValueError for sizes that make no patches.
    """

    patch_size: int = 14
    """Side of a patch in pixels."""
    temporal_patch_size: int = 2
    """Frames in a patch."""
    merge_size: int = 2
    """Side of the square of patches that becomes one token."""
    min_pixels: int = 56 * 56
    """A picture with fewer pixels is enlarged."""
    max_pixels: int = HUB_MAX_PIXELS
    """A picture with more pixels is shrunk; a `limit` of the scenario, other than "hub", takes the place of this."""
    mean: Colour = (0.48145466, 0.4578275, 0.40821073)
    """Mean of red, green and blue in 0..1 (OpenAI CLIP)."""
    std: Colour = (0.26862954, 0.26130258, 0.27577711)
    """Standard deviation of red, green and blue in 0..1 (OpenAI CLIP)."""
    video_pixels: tuple[int, int] | None = None
    """Fewest and most pixels of a video, of all its frames together; None: each frame is a picture by itself."""

    def __post_init__(self) -> None:
        for field in ("patch_size", "temporal_patch_size", "merge_size", "min_pixels", "max_pixels"):
            _require_size(field, getattr(self, field))
        if self.max_pixels < max(self.min_pixels, self.factor**2):
            raise ValueError(f"max_pixels is {self.max_pixels}; give as many as min_pixels and one token have, or more")
        if self.video_pixels is not None:
            _require_video(self.video_pixels, self.factor**2)
        _require_colours(self.mean, self.std)

    @property
    def factor(self) -> int:
        """Pixels that both sides must be multiples of: one merged cell."""
        return self.patch_size * self.merge_size

    @property
    def patch_dim(self) -> int:
        """Values in one row of the pixels: channels x frames x rows x columns."""
        return 3 * self.temporal_patch_size * self.patch_size**2

    def grids_of(self, cells: Sequence[Grid]) -> tuple[Grid, ...]:
        """Grids of so many merged cells."""
        return tuple((t, h * self.merge_size, w * self.merge_size) for t, h, w in cells)

    def pixels_shape(self, grids: Sequence[Grid]) -> tuple[int, ...]:
        """[N, patch_dim], the patches of all grids one after the other."""
        return sum(t * h * w for t, h, w in grids), self.patch_dim

    def misfit(self, grids: Sequence[Grid]) -> str | None:
        """Why tokens cannot be made of these grids, None where they can."""
        side = self.merge_size
        for _, rows, columns in grids:
            if rows % side or columns % side:
                return (
                    f"it merges {side} x {side} patches, which does not divide a grid of {rows}x{columns}; choose "
                    "grids that it divides"
                )
        return None


@dataclass(frozen=True)
class Images:
    """Whole images, for towers called as `(pixels [B, 3, H, W])`: SigLIP, timm, DINOv2, Pixtral.

    Every picture, and every frame of a video, is one image, resized to `size` whatever its shape. Raises ValueError for
    a size that makes no image.
    """

    size: int | tuple[int, int]
    """Side in pixels, or height and width."""
    mean: Colour = (0.5, 0.5, 0.5)
    """Mean of red, green and blue in 0..1 (SigLIP)."""
    std: Colour = (0.5, 0.5, 0.5)
    """Standard deviation of red, green and blue in 0..1 (SigLIP)."""

    def __post_init__(self) -> None:
        sides = self.size if isinstance(self.size, tuple) and len(self.size) == 2 else (self.size,)
        for side in sides:
            _require_size("size", side)
        _require_colours(self.mean, self.std)

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    @property
    def grid(self) -> Grid:
        """Of each image: 1, height, width."""
        return (1, *self.sides)

    def grids_of(self, cells: Sequence[Grid]) -> tuple[Grid, ...]:
        """An image for each."""
        return (self.grid,) * len(cells)

    def pixels_shape(self, grids: Sequence[Grid]) -> tuple[int, ...]:
        """[B, 3, H, W], an image for each grid."""
        return len(grids), 3, *self.sides

    def misfit(self, grids: Sequence[Grid]) -> str | None:
        """Why these grids are not images of the size, None where they are."""
        if all(grid == self.grid for grid in grids):
            return None
        return f"it takes {self}, and no grids of patches; feed it a scenario"

    def __str__(self) -> str:
        return f"images of {self.sides[0]}x{self.sides[1]} pixels"


Fed = Preprocessing | Images
"""What a tower is fed."""


def as_fields(fed: Fed) -> dict[str, object]:
    """Its fields by name, its kind among them; these travel between processes."""
    return {"input": "images" if isinstance(fed, Images) else "patches", **asdict(fed)}


def difference(mine: dict[str, object], theirs: dict[str, object]) -> tuple[str, object, object] | None:
    """The first of the fields that differs, with both values; None where all are equal."""
    names = [name for name in mine | theirs if mine.get(name) != theirs.get(name)]
    return (names[0], mine.get(names[0]), theirs.get(names[0])) if names else None


def _require_size(field: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LARGEST:
        raise ValueError(f"{field} is {value!r:.60}; give a whole number above zero, {LARGEST:,} at most")


def _require_video(limits: object, token: int) -> None:
    good = isinstance(limits, tuple) and len(limits) == 2
    for each in limits if isinstance(limits, tuple) and good else ():
        _require_size("video_pixels", each)
    if not isinstance(limits, tuple) or not good or limits[1] < max(limits[0], token):
        raise ValueError(f"video_pixels is {limits!r:.60}; give the fewest and the most, at least one token's")


def _require_colours(mean: Colour, std: Colour) -> None:
    for colours, least in ((mean, -math.inf), (std, 0.0)):
        good = isinstance(colours, Sequence) and len(colours) == 3
        if not good or not all(isinstance(each, int | float) and least < each < math.inf for each in colours):
            raise ValueError(f"mean is {mean} and std {std}; give three numbers each, those of std above zero")


QWEN3 = Preprocessing(
    patch_size=16,
    min_pixels=65_536,
    max_pixels=16_777_216,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    video_pixels=(4_096, 25_165_824),
)
"""What Qwen3-VL, Qwen3.5 and Qwen3.8 are fed, by the preprocessor files beside the released checkpoints."""
