"""What towers are fed to find where they part: grids on which the usual mistakes show."""

import torch

from vlbench.implementations.preprocessing import Preprocessing
from vlbench.trial.accuracy import Input
from vlbench.workload.batch import build_batch
from vlbench.workload.scenario import Item, ScenarioPoint

PROBE = ScenarioPoint(
    scenario="verify",
    label="where",
    source="noise",
    item=(Item(kind="video", grid="6x64", frames=4), Item(grid="64x6"), Item(grid="10x6"), Item(grid="2x2")),
)
"""Two frames, ragged windows, the smallest item, and sides of 64: angles that were rounded are far off only there."""
DARK_ITEM, DARK = 1, 0.25
"""An item whose pixels are so much smaller: what a norm adds to a variance shows where that is small."""

OTHER_SEED = 1
"""Added to the seed, of which the weights are drawn: of one seed, the first patches would be the first weights."""


def probe(fed: Preprocessing, seed: int, device: torch.device, dtype: torch.dtype) -> Input:
    """The noise of these grids, the same on every machine."""
    batch = build_batch(PROBE, seed=seed + OTHER_SEED, fed=fed)
    sizes = [t * h * w for t, h, w in batch.grids]
    start = sum(sizes[:DARK_ITEM])
    batch.pixels[start : start + sizes[DARK_ITEM]] *= DARK
    return Input(batch.pixels.to(device, dtype), batch.grid_thw)
