"""What is predicted by layers is what is predicted of the tower that is counted in full."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from tests.predicting.hand_made import run
from vlbench.counting.job import CountedAtScale, CountJob, Point
from vlbench.counting.rows import Row
from vlbench.counting.scaled import Scaled, in_full, scaled
from vlbench.counting_device import CountingDevice
from vlbench.implementations.config import MODELS
from vlbench.kernel_times import board
from vlbench.predicting.at_scale import predicted_span
from vlbench.predicting.at_scale_worker import run_job
from vlbench.predicting.host import hosts
from vlbench.predicting.kernels import Kernels
from vlbench.predicting.rows import row_of, simulated
from vlbench.predicting.timeline import outer, steps_of
from vlbench.record.sequence import ForwardName

POINT = Point(scenario="grid", label="", grids=((1, 16, 24), (1, 12, 8)))
KERNELS = Kernels(board("h100"))


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[CountingDevice]:
    config = replace(MODELS["qwen2.5-vl-7b"], name="deep", depth=12, fullatt_block_indexes=(3, 7, 11))
    monkeypatch.setitem(MODELS, "deep", config)
    with CountingDevice("ghost", "sm_90") as device:
        yield device


@pytest.mark.parametrize("flags", [pytest.param("", marks=pytest.mark.slow(4)), "+best"])
def test_a_layer_does_what_one_like_it_did(flags: str, device: CountingDevice) -> None:
    """With waits in each layer, and without any: there the queue may grow from layer to layer."""
    found = scaled(device, Row("deep", f"deep{flags}"), POINT, torch.bfloat16)
    assert found.by_layers
    steps = steps_of(found.sequences().warm, KERNELS)
    spans = [run(steps, world).span * 1e-6 for world in outer(hosts())]
    told = predicted_span(found, KERNELS)
    assert (told.low, told.high) == (pytest.approx(min(spans)), pytest.approx(max(spans)))


@pytest.mark.slow(8)
@pytest.mark.parametrize("flags", ["", "+classic", "+best"])
def test_a_row_by_layers_is_that_of_the_tower_in_full(flags: str, device: CountingDevice) -> None:
    """Spans, stages, what would pay, what has no time: of the second call, and of the first, which builds plans."""
    row = Row("deep", f"deep{flags}")
    by_layers, whole = (made(device, row, POINT, torch.bfloat16) for made in (scaled, in_full))
    assert (by_layers.by_layers, whole.by_layers) == (True, False)
    for which in ("warm", "cold"):
        told, wanted = (figures(each, which) for each in (by_layers, whole))
        assert len(told) > 50
        assert told == pytest.approx(wanted)


def figures(found: Scaled, which: ForwardName) -> dict[str, float]:
    """All that is told of a forward, each figure by its place."""

    def walk(place: str, value: object) -> Iterator[tuple[str, float]]:
        if isinstance(value, dict):
            for name, each in value.items():
                yield from walk(f"{place} {value.get('stage', value.get('what', ''))} {name}", each)
        elif isinstance(value, tuple):
            for each in value:
                yield from walk(place, each)
        elif isinstance(value, int | float):
            yield place, value

    row = row_of(simulated("a", "a", which, found.chunks(which), KERNELS), None, None)
    assert row.span
    return dict(walk("", row.model_dump()))


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
