from __future__ import annotations

import pytest
import torch

from tests.cuda_stand_ins import cuda
from tests.trial.plans import MODEL
from vlbench.counting import calibrate
from vlbench.counting.job import CountJob, Point
from vlbench.counting.rows import rows_of
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
