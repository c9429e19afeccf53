from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity

from tests.cuda_stand_ins import Profiler, Queue, cuda
from tests.trial.plans import MODEL
from vlbench.counting import calibrate
from vlbench.counting.job import CountJob, Point
from vlbench.counting.rows import rows_of
from vlbench.counting.trace import FORWARD
from vlbench.record.precision import precisions, tf32_turned_off


def test_towers_are_profiled_without_tf32_whatever_their_package_has_set(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []
    point = Point(scenario="small", label="", grids=((1, 2, 2),))
    job = CountJob(towers=(MODEL,), variants=(), points=(point,), profile="sm_90", dtype="float32")
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", lambda mode: None)
    monkeypatch.setattr(calibrate, "profiled", lambda *about: seen.append(set(precisions().values())) or [])
    with tf32_turned_off(), cuda():
        torch.backends.fp32_precision = "tf32"
        torch.backends.cudnn.conv.fp32_precision = "tf32"  # type: ignore[attr-defined]
        calibrate.profile_warm(rows_of(job)[0], point, torch.float32)
    assert seen == [{"ieee"}]


@pytest.mark.parametrize("on_cuda", [True, False])
def test_the_profiler_of_a_gpu_is_warm_before_it_sees_the_forward(
    monkeypatch: pytest.MonkeyPatch, on_cuda: bool
) -> None:
    done: list[str] = []

    class Noted(Profiler):
        def __enter__(self) -> Profiler:
            done.append("profile")
            return super().__enter__()

        def export_chrome_trace(self, file: str) -> None:
            Path(file).write_text('{"traceEvents": []}')

    class Tower(nn.Module):
        def forward(self, pixels: Tensor, grid_thw: Tensor) -> None:
            done.append("forward")

    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_cuda else [])]
    with cuda():
        monkeypatch.setattr(calibrate, "profile", partial(Noted, Queue()))
        monkeypatch.setattr(calibrate, "warm_profiler", lambda: done.append("warm"))
        assert calibrate.profiled(Tower(), torch.ones(1), torch.ones(1), activities) == []
    assert done == [*(["warm"] if on_cuda else []), "profile", "forward"]


@pytest.mark.slow
def test_each_tower_is_a_step_as_it_is_profiled_and_as_it_is_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """So that the first says how long all will take; without a GPU there is nothing to profile."""
    told: list[tuple[int, int]] = []
    points = tuple(Point(scenario="small", label=label, grids=((1, 2, 2),)) for label in "ab")
    job = CountJob(towers=(MODEL,), variants=(), points=points, profile="sm_90", dtype="float32")
    gpu = {"is_available": True, "get_device_capability": (9, 0), "get_device_name": "G"}
    for name, answer in gpu.items():
        monkeypatch.setattr(torch.cuda, name, lambda answer=answer: answer)
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91_900)
    forward = {"ph": "X", "cat": "user_annotation", "name": FORWARD, "ts": 0, "dur": 1, "pid": 1, "tid": 1}
    monkeypatch.setattr(calibrate, "profile_warm", lambda row, point, dtype: ([forward], {}))
    found = calibrate.calibrate(job, tmp_path, steps=lambda done, of: told.append((done, of)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert (found.gpu, found.cudnn) == ("G", "9.19")
