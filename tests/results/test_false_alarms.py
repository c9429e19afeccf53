from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from results.false_alarms import TOWERS, ab, gate, said_by, scratch_repository
from tests.revisions.repositories import git
from vlbench.errors import UsageError
from vlbench.judging.identical import Evidence, IdenticalRun
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.revisions.request import Way, way_of
from vlbench.towers.resolve import resolve_tower

SAME, CALLED = Verdict.SAME, Verdict.IMPROVED
COUNTED = Path(__file__).parents[2] / "results/baselines/best-of-many.json"


def test_both_ways_measure_one_tower(monkeypatch: pytest.MonkeyPatch) -> None:
    """The factory of the scratch repository makes what the other way loads."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    assert {way: way_of(tower) for way, tower in TOWERS.items()} == {way: way for way in Way}
    with scratch_repository() as folder:
        assert git(folder, "status", "--porcelain") == ""
        one, other = (
            resolve_tower(f"at:{folder}:{tower}").build(torch.device("cpu"), torch.float32) for tower in TOWERS.values()
        )
        pixels, grids = torch.ones(24, 1176), torch.tensor([[1, 4, 6]])
        with torch.inference_mode():
            assert torch.equal(one(pixels, grids), other(pixels, grids))
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize("measure", [ab, gate])
def test_a_folder_that_is_not_there_is_found_out_first(measure: Callable[[Path], None], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the folder .*nowhere does not exist"):
        measure(tmp_path / "nowhere/out.json")


def test_a_run_is_what_its_rows_say() -> None:
    rows = (
        JudgedRow(cell="a", measure="accuracy", verdict=SAME, reason="right"),
        JudgedRow(cell="a", measure="time", verdict=CALLED, reason="faster", ratio=0.9, visible=0.02),
        JudgedRow(cell="b", measure="counters", verdict=SAME, reason="as before"),
    )
    found = IdenticalRun.model_validate(said_by(Judged(command="gate", before="a", after="b", rows=rows, seconds=3.0)))
    assert found.is_alarm
    assert found == IdenticalRun(verdicts=(SAME, CALLED, SAME), ratios=(0.9,), visible=(0.02,), seconds=3.0)


def test_what_each_run_said_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gate(tmp_path / "out.json", [COUNTED], runs=1)
    found = Evidence.model_validate(json.loads((tmp_path / "out.json").read_text()))
    assert [run.is_alarm for run in found.runs] == [False]
    assert f"--baseline {COUNTED}" in found.command
    assert "0 of 1 gate runs called different (at most 95.0 %)" in capsys.readouterr().out
