"""From a point of a scenario to what a vision tower is called with: pixel rows and their grids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vlbench.errors import UsageError
from vlbench.untrusted.limits import Limit
from vlbench.workload.mix import draw_items
from vlbench.workload.resize import Grid, PatchSpec, patch_grid
from vlbench.workload.scenario import Item, ScenarioPoint, parse_pair

if TYPE_CHECKING:
    import torch

QWEN2_VL = PatchSpec()


@dataclass(frozen=True)
class Batch:
    """One call of a vision tower, on the host."""

    pixels: torch.Tensor
    """[N, patch_dim] float32, the rows of all items one after the other."""
    grid_thw: torch.Tensor
    """[items, 3] int64: frames / temporal patch, patches down, patches across."""
    grids: tuple[Grid, ...]
    """The same grids as plain numbers."""
    description: str
    """Such as "12 photos, 1,464 patches, 366 tokens"."""


def items_of(point: ScenarioPoint, seed: int) -> tuple[Item, ...]:
    """The items that `point` feeds in, in order, each with count 1; those of a mix are drawn from `seed`."""
    items = draw_items(point.mix, seed) if point.mix else point.item
    return tuple(item.model_copy(update={"count": 1}) for item in items for _ in range(item.count))


def grids_only(point: ScenarioPoint, seed: int, spec: PatchSpec = QWEN2_VL) -> tuple[Grid, ...]:
    """The grids that `build_batch` would give, without opening a picture."""
    spec = replace(spec, max_pixels=point.max_pixels)
    grids = tuple(_grid(item, spec) for item in items_of(point, seed))
    Limit.PATCHES.check(sum(t * h * w for t, h, w in grids), f"scenario {point.scenario!r}", "feed in less")
    return grids


def build_batch(
    point: ScenarioPoint, *, seed: int, images: Sequence[Path] | None = None, spec: PatchSpec = QWEN2_VL
) -> Batch:
    """Pictures of `point`, preprocessed. The same arguments give the same bits.

    `images` replace the shipped photos and are taken in turn; they are cropped to the scenario's sizes, so
    they change the contents and never the grids. The scenario's pixel limit takes the place of
    `spec.max_pixels`. Raises `UsageError` for a picture that cannot be read and for `images` given to a
    scenario that feeds noise.
    """
    import torch

    items = items_of(point, seed)
    grids = grids_only(point, seed, spec)
    if point.source == "noise":
        if images is not None:
            raise UsageError(f"scenario {point.scenario!r} feeds noise and takes no pictures; set source = 'photos'")
        patches = sum(t * h * w for t, h, w in grids)
        pixels = torch.randn(patches, spec.patch_dim, generator=torch.Generator().manual_seed(seed))
    else:
        pixels = torch.cat(list(_pixel_rows(items, grids, images, seed, spec)))
    return Batch(pixels, torch.tensor(grids, dtype=torch.int64), grids, _describe(point, items, grids, spec))


def _grid(item: Item, spec: PatchSpec) -> Grid:
    frames = item.frames or 1
    if item.grid is not None:
        return (-(-frames // spec.temporal_patch_size), *parse_pair(item.grid))
    assert item.size is not None  # the schema asks for one of the two
    return patch_grid(frames, *parse_pair(item.size), spec)


def _pixel_rows(
    items: Sequence[Item], grids: Sequence[Grid], images: Sequence[Path] | None, seed: int, spec: PatchSpec
) -> Iterator[torch.Tensor]:
    import torch

    from vlbench.workload.photos import crop_frames, open_pictures, shipped_photos
    from vlbench.workload.preprocess import rows

    paths = shipped_photos() if images is None else images
    if not paths:
        raise UsageError("no pictures were given; name at least one, or leave the option out for the shipped photos")
    pictures = open_pictures(paths)
    for index, (item, grid) in enumerate(zip(items, grids, strict=True)):
        _, down, across = grid
        size = parse_pair(item.size) if item.size else (down * spec.patch_size, across * spec.patch_size)
        frames = crop_frames(pictures, index, size, item.frames or 1, seed)
        yield torch.from_numpy(rows(frames, grid, spec))


def _describe(point: ScenarioPoint, items: Sequence[Item], grids: Sequence[Grid], spec: PatchSpec) -> str:
    still = "photo" if point.source == "photos" else "noise image"
    kinds = Counter(still if item.kind == "image" else "video" for item in items)
    parts = [f"{count} {kind}{'s' * (count > 1)}" for kind, count in kinds.items()]
    patches = sum(t * h * w for t, h, w in grids)
    return ", ".join([*parts, f"{patches:,} patches", f"{patches // spec.merge_size**2:,} tokens"])
