"""Claims that take a GPU are timed on one, here a stand-in for it, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cuda_stand_ins import ON_CUDA, cuda
from tests.trial.plans import SCENARIO_FILE, python_path
from vlbench.api.cases import case
from vlbench.judging.claims import CaseReport, Finding
from vlbench.towers.models import DEFAULTS

OWN = """
title = "Mine"
source = "this test"
about = "Nothing."

[[time]]
name = "rotation"
seam = "rope"
size = "n=324"
why = ""
device = "cuda"
seconds = 6

[[time]]
name = "tower"
scenario = "{scenario}"
sets = ["no-flags", "best"]
why = ""
device = "cuda"
seconds = 6

[[claim]]
says = "packed"
timed = {{ at = "rotation", of = "rope-packed", expect = "faster" }}

[[claim]]
says = "fewer operations"
timed = {{ at = "tower", of = "best", expect = "faster", least = 0.1 }}
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    scenario, path = tmp_path / "small.toml", tmp_path / "own.toml"
    scenario.write_text(SCENARIO_FILE)
    path.write_text(OWN.format(scenario=scenario))
    return str(path)


def test_what_takes_a_gpu_is_not_timed_on_a_cpu(own: str) -> None:
    report = case(own, device="cpu", progress=False).record
    assert {each.finding for each in report.found} == {Finding.NEEDS}
    assert report.exit_code == 0


@pytest.mark.slow(30)
def test_what_takes_a_gpu_is_timed_on_one(own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", python_path(ON_CUDA))
    monkeypatch.setitem(DEFAULTS, "cuda", ("qwen2.5-vl-tiny", "float32"))
    with cuda():
        report: CaseReport = case(own, device="cuda", progress=False).record
    packed, fewer = report.found
    assert fewer.finding is Finding.RE_ENACTED, fewer.ours
    assert fewer.ours.endswith(" on NVIDIA H100 80GB HBM3")
    assert packed.finding is not Finding.NEEDS, packed.ours  # a call is short, and the machine may be busy
    assert report.inaccurate == ()
