"""A span by layers is the span of the whole sequence."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vlbench.counting.job import CountedAtScale, CountJob, Point
from vlbench.counting.rows import Row
from vlbench.counting.scaled import scaled
from vlbench.counting_device import CountingDevice
from vlbench.implementations.config import MODELS
from vlbench.kernel_times import board
from vlbench.predicting.at_scale import predicted_span
from vlbench.predicting.at_scale_worker import run_job
from vlbench.predicting.host import hosts
from vlbench.predicting.kernels import Kernels
from vlbench.predicting.timeline import outer, simulate, steps_of

POINT = Point(scenario="grid", label="", grids=((1, 16, 24), (1, 12, 8)))


@pytest.mark.parametrize("flags", [pytest.param("", marks=pytest.mark.slow(4)), "+best"])
def test_a_layer_that_begins_alike_takes_as_long(flags: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With waits in each layer, and without any: there the queue may grow from layer to layer."""
    deep = replace(MODELS["qwen2.5-vl-7b"], name="deep", depth=12, fullatt_block_indexes=(3, 7, 11))
    monkeypatch.setitem(MODELS, "deep", deep)
    kernels = Kernels(board("h100"))
    with CountingDevice("ghost", "sm_90") as device:
        found = scaled(device, Row("deep", f"deep{flags}"), POINT, torch.bfloat16)
    assert found.by_layers
    steps = steps_of(found.sequences().warm, kernels)
    spans = [simulate(steps, world).span * 1e-6 for world in outer(hosts())]
    told = predicted_span(found, kernels)
    assert (told.low, told.high) == (pytest.approx(min(spans)), pytest.approx(max(spans)))


@pytest.mark.slow(3)
def test_the_process_predicts_what_it_counts() -> None:
    towers = ("qwen2.5-vl-7b+best", "qwen2.5-vl-7b+no-such-flag")
    given = {"variants": None, "points": (POINT,), "profile": "sm_90", "dtype": "bfloat16", "at_scale": True}
    given |= {"boards": ("h100", "l40s")}
    said: list[object] = []
    run_job(CountJob(towers=towers, **given), said.append)
    best, none = (each.row for each in said if isinstance(each, CountedAtScale))
    h100, l40s = best.predicted
    assert (h100.gpu, l40s.gpu) == ("h100", "l40s")
    assert 0 < (h100.low or 0) < (h100.high or 0) < 1
    assert (l40s.low or 0) > (h100.low or 0)
    assert h100.over(h100) == (1, 1)
    assert none.predicted == ()
    assert none.failed is not None
