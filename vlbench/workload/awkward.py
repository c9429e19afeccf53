"""Batches of awkward grids, on which accuracy is checked."""

from __future__ import annotations

from vlbench.workload.scenario import Item, ScenarioPoint

BATCHES: dict[str, tuple[tuple[int, str], ...]] = {
    "smallest": ((1, "2x2"),),
    "one image": ((1, "36x36"),),
    "aligned": ((1, "16x16"), (1, "8x24")),
    "ragged": ((1, "10x6"), (1, "18x14"), (1, "34x46")),
    "strips": ((1, "2x200"), (1, "120x2")),
    "video": ((8, "12x20"),),
    "mixed": ((1, "16x16"), (6, "6x10"), (1, "2x2"), (2, "18x18")),
    "equal images": ((1, "12x12"), (1, "12x12"), (1, "12x12")),
}
"""Frames and patches of the items in each batch that is checked."""


def batch_point(name: str) -> ScenarioPoint:
    """One of BATCHES as something to feed in: noise, whose every patch differs."""
    items = (Item(kind="video", grid=grid, frames=2 * t) if t > 1 else Item(grid=grid) for t, grid in BATCHES[name])
    return ScenarioPoint(scenario="verify", label=name, source="noise", item=tuple(items))
