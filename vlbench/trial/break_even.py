"""After how many replays the capture of a graph has paid: both are timed on the device at hand."""

from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn

from vlbench.implementations import build_tower
from vlbench.implementations.config import MODELS
from vlbench.implementations.optimized import preset_flags
from vlbench.implementations.output import unpack
from vlbench.implementations.weights import SharedTensors
from vlbench.record.schema import Device
from vlbench.stats.paired import Estimate, paired_ratio
from vlbench.towers.models import drawn
from vlbench.trial.clock import clock_for

FLAG = "graph-exact"
SIDE = 36
"""Patches along a side of a picture of 512x512 pixels, on which replays are timed."""
WIDTHS, ROUNDS = 7, 30
"""Pictures of other widths that are captured, and pairs of a forward and a replay."""
DTYPES = {"cpu": torch.float32, "cuda": torch.bfloat16}


@dataclass(frozen=True)
class BreakEven:
    """Of a graph of one picture, against the same tower (`best`) without graphs. Milliseconds, medians."""

    model: str
    device: Device
    capture: float
    """Of the first call on a layout, by how much it takes longer."""
    forward: float
    replay: float
    ratio: Estimate
    """Of a replay to a forward, in pairs."""

    @property
    def pays_after(self) -> float | None:
        """Replays; None where none is seen to save time, as the interval of the ratio reaches 1."""
        saved = self.forward * (1 - self.ratio.ratio)
        return max(0.0, self.capture) / saved if self.ratio.high < 1 else None


def break_even(model: str, device: Device) -> BreakEven:
    """Time captures and replays of one of our models, with random weights: seconds, on a CPU for a tiny one."""
    config, there = MODELS[model], torch.device(device)
    weights = drawn(config, there, DTYPES[device])
    best, clock = preset_flags("best", config, device)[0], clock_for(device)

    def tower(*more: str) -> nn.Module:
        return build_tower(config, best.union(more), SharedTensors(weights), device)

    def seconds(called: nn.Module, columns: int) -> float:
        pixels = torch.randn(SIDE * columns, config.patch_dim, dtype=DTYPES[device]).to(there)
        grids: Tensor = torch.tensor([[1, SIDE, columns]])
        return clock(lambda: unpack(called(pixels, grids))).seconds

    eager, graphs = tower(), tower(FLAG)
    with torch.inference_mode():
        for each in (eager, graphs) * 2:
            seconds(each, SIDE)  # what is loaded once
        firsts = [
            seconds(graphs, SIDE - columns) - seconds(eager, SIDE - columns) for columns in range(2, 2 * WIDTHS + 1, 2)
        ]
        pairs = [(seconds(graphs, SIDE), seconds(eager, SIDE)) for _ in range(ROUNDS)]
    replays, forwards = zip(*pairs, strict=True)
    capture, forward, replay = (1e3 * median(each) for each in (firsts, forwards, replays))
    return BreakEven(model, device, capture, forward, replay, paired_ratio(replays, forwards))
