"""How fast the host here issues a forward, beside the hosts of captures: what a measured board says of its host."""

import time
from statistics import median, quantiles

import torch

from vlbench.counting.job import CountJob, Point
from vlbench.errors import UsageError
from vlbench.implementations.adapted import handed_over
from vlbench.kernel_times import board
from vlbench.predicting.run import run_predict
from vlbench.record.base import Grid
from vlbench.record.schema import Dtype
from vlbench.towers.resolve import resolve_tower
from vlbench.trial.clock import SYNCHRONIZE

TOWER, GRID = "qwen2.5-vl-tiny+best", (1, 16, 16)
"""Without a wait, and so small that the device idles: what such a forward takes, the host takes."""
FORWARDS, WARM_UPS = 50, 3
LIKE = "h100"
"""For whose kernels it is predicted, which matter little where the host holds a forward up."""


def host_factors(dtype: Dtype, tower: str = TOWER, grid: Grid = GRID) -> tuple[float, float]:
    """Factors on the captures' figures for the host here: of its 10th percentile to the fast host's, and of its median
    to the slow one's.

    Raises UsageError where the forward cannot be predicted, or is not one that the host holds up.
    """
    point = Point(scenario="grid", label="", grids=(grid,))
    count = CountJob(towers=(tower,), points=(point,), profile=board(LIKE).stored.profile, dtype=dtype)
    ((row,),) = (group.rows for group in run_predict(count, [LIKE]).groups)
    if row.span is None or row.bound != "host":
        raise UsageError(f"calibrate: the host is not measured by {tower}: {row.failed or 'it does not hold that up'}")
    seconds = issue_seconds(tower, grid, dtype)
    return quantiles(seconds, n=10)[0] / row.span.low, median(seconds) / row.span.high


def issue_seconds(tower: str, grid: Grid, dtype: Dtype) -> list[float]:
    """From each call of a warm tower on the GPU to its return, with nothing queued before it."""
    made, seconds = resolve_tower(tower), []
    with torch.inference_mode():
        module = made.build(torch.device("cuda"), getattr(torch, dtype))
        pixels = torch.randn(made.fed.pixels_shape([grid]), device="cuda", dtype=getattr(torch, dtype))
        grid_thw = handed_over(module, pixels, torch.tensor([grid], dtype=torch.int64))
        for _ in range(FORWARDS + WARM_UPS):
            SYNCHRONIZE["cuda"]()
            start = time.perf_counter()
            module(pixels, grid_thw)
            seconds.append(time.perf_counter() - start)
        SYNCHRONIZE["cuda"]()
    return seconds[WARM_UPS:]
