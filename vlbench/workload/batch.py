"""From a point of a scenario to what a vision tower is called with: pixel rows and their grids, or images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vlbench.errors import UsageError
from vlbench.implementations.preprocessing import Fed, Grid, Images, Preprocessing
from vlbench.untrusted.limits import Limit
from vlbench.workload.mix import draw_items
from vlbench.workload.resize import patch_grid
from vlbench.workload.scenario import PIXELS_PER_PATCH, Item, ScenarioPoint, parse_pair

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Batch:
    """One call of a vision tower, on the host."""

    pixels: torch.Tensor
    """float32: rows [N, patch_dim], those of all items one after the other, or images [B, 3, H, W]."""
    grid_thw: torch.Tensor
    """[items, 3] int64: frames / temporal patch, patches down, patches across; or [B, 3], each image 1, H, W."""
    grids: tuple[Grid, ...]
    """The same grids as plain numbers."""
    description: str
    """Such as "12 photos, 1,464 patches, 366 tokens" or "12 photos, 12 images of 224x224 pixels"."""


def items_of(point: ScenarioPoint, seed: int) -> tuple[Item, ...]:
    """The items that `point` feeds in, in order, each with count 1; those of a mix are drawn from `seed`."""
    items = draw_items(point.mix, seed) if point.mix else point.item
    return tuple(item.model_copy(update={"count": 1}) for item in items for _ in range(item.count))


def grids_only(point: ScenarioPoint, seed: int, fed: Fed) -> tuple[Grid, ...]:
    """The grids that `build_batch` would give, without opening a picture."""
    items = items_of(point, seed)
    if isinstance(fed, Images):
        grids: tuple[Grid, ...] = (fed.grid,) * sum(item.frames or 1 for item in items)
    else:
        grids = tuple(_grid(item, point, fed) for item in items)
    patches = sum(t * h * w for t, h, w in grids) // (PIXELS_PER_PATCH if isinstance(fed, Images) else 1)
    Limit.PATCHES.check(patches, f"scenario {point.scenario!r}", "feed in less")
    return grids


def as_fed(grids: Sequence[Grid], fed: Fed) -> list[Grid]:
    """The grids of a recorded call as a tower is fed them: one of images gets one for each image and frame."""
    if isinstance(fed, Images):
        return [fed.grid] * sum(2 * t if t > 1 else 1 for t, _, _ in grids)
    return list(grids)


def build_batch(point: ScenarioPoint, *, seed: int, fed: Fed, images: Sequence[Path] | None = None) -> Batch:
    """Pictures of `point`, made into what a tower is fed. The same arguments give the same bits.

    For a tower of images every picture is one image, and every frame of a video; a grid of the scenario then says the
    picture's shape alone. `images` replace the shipped photos and are taken in turn; they are cropped to the scenario's
    sizes, so they change the contents and never the grids, unless the point takes them whole. Raises `UsageError` for a
    picture that cannot be read and for `images` given to a scenario that feeds noise.
    """
    import torch

    items = items_of(point, seed)
    grids = grids_only(point, seed, fed)
    if point.source == "noise":
        if images is not None:
            raise UsageError(f"scenario {point.scenario!r} feeds noise and takes no pictures; set source = 'photos'")
        pixels = torch.randn(fed.pixels_shape(grids), generator=torch.Generator().manual_seed(seed))
    else:
        pixels = torch.cat(list(_pixels(items, grids, images, seed, fed, whole=point.whole)))
    return Batch(pixels, torch.tensor(grids, dtype=torch.int64), grids, _describe(point, items, grids, fed))


def _limited(point: ScenarioPoint, item: Item, fed: Preprocessing) -> Preprocessing:
    """`fed` with the point's limit in the place of its own. Raises `UsageError` for one that no picture can keep."""
    if point.limit == "hub":
        return fed
    if point.max_pixels < (least := max(fed.min_pixels, fed.factor**2)):
        told = f"scenario {point.scenario!r}: limit is {point.max_pixels:,} pixels, and the tower's pictures have"
        raise UsageError(f"{told} {least:,} at least; raise it, or choose another tower")
    video = fed.video_pixels
    if video is not None:
        fewest, most = video
        video = (fewest, max(fewest, fed.factor**2, min(most, (item.frames or 1) * point.max_pixels)))
    return replace(fed, max_pixels=point.max_pixels, video_pixels=video)


def _grid(item: Item, point: ScenarioPoint, fed: Preprocessing) -> Grid:
    frames = item.frames or 1
    if item.grid is not None:
        return (-(-frames // fed.temporal_patch_size), *parse_pair(item.grid))
    assert item.size is not None  # the schema asks for one of the two
    limited = _limited(point, item, fed)
    return patch_grid(frames, *parse_pair(item.size), limited, is_video=item.kind == "video")


def _pixels(
    items: Sequence[Item], grids: Sequence[Grid], images: Sequence[Path] | None, seed: int, fed: Fed, *, whole: bool
) -> Iterator[torch.Tensor]:
    """Of each item its rows of patches, or its images."""
    import torch

    from vlbench.workload.photos import crop_frames, open_pictures, shipped_photos
    from vlbench.workload.preprocess import rows, whole_images

    paths = shipped_photos() if images is None else images
    if not paths:
        raise UsageError("no pictures were given; name at least one, or leave the option out for the shipped photos")
    pictures = open_pictures(paths)
    for index, item in enumerate(items):
        cropped = partial(crop_frames, pictures, index, _size(item, fed), item.frames or 1, seed)
        frames = [pictures[index]] if whole else cropped()
        made = whole_images(frames, fed) if isinstance(fed, Images) else rows(frames, grids[index], fed)
        yield torch.from_numpy(made)


def _size(item: Item, fed: Fed) -> tuple[int, int]:
    """Height and width of the picture, in pixels; the patches of a tower of images are taken to be Qwen2-VL's."""
    if item.size is not None:
        return parse_pair(item.size)
    assert item.grid is not None  # the schema asks for one of the two
    side = Preprocessing.patch_size if isinstance(fed, Images) else fed.patch_size
    down, across = parse_pair(item.grid)
    return down * side, across * side


def _describe(point: ScenarioPoint, items: Sequence[Item], grids: Sequence[Grid], fed: Fed) -> str:
    still = "photo" if point.source == "photos" else "noise image"
    kinds = Counter(still if item.kind == "image" else "video" for item in items)
    parts = [f"{count} {kind}{'s' * (count > 1)}" for kind, count in kinds.items()]
    if isinstance(fed, Images):
        return ", ".join([*parts, f"{len(grids):,} {fed}"])
    patches = sum(t * h * w for t, h, w in grids)
    return ", ".join([*parts, f"{patches:,} patches", f"{patches // fed.merge_size**2:,} tokens"])
