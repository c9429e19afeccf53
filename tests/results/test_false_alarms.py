from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from results.false_alarms import (
    TOWERS,
    GateRun,
    GateRuns,
    ab,
    gate,
    gate_sentence,
    in_words,
    kept_before,
    said_by,
    scratch_repository,
    why_alarming,
)
from tests.repositories import git
from vlbench.errors import UsageError
from vlbench.judging.identical import IdenticalRun
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


def test_what_each_run_said_is_kept_and_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    gate(out, [COUNTED], runs=1)
    gate(out, [COUNTED], runs=2, resume=True)
    found = GateRuns.model_validate_json(out.read_text())
    assert [(run.busy, run.is_alarm) for run in found.runs] == [(False, False), (True, False)]
    assert f"--baseline {COUNTED}" in found.command
    said = capsys.readouterr().out
    assert "of 1 gate runs by themselves 1 ended with 0; of 1 gate runs beside a process that keeps a core busy" in said
    assert "run 2: " in said
    with pytest.raises(UsageError, match="repeat its --baseline"):
        kept_before(out, "vlbench gate")
    with pytest.raises(UsageError, match="is not there"):
        kept_before(tmp_path / "other.json", "")


def test_an_alarm_fails_and_so_does_a_second_doubt(tmp_path: Path) -> None:
    def runs(*verdicts: Verdict, busy: bool = False) -> list[GateRun]:
        return [
            GateRun(verdicts=(SAME, each), ratios=(1.0,), visible=(0.04,), seconds=9, busy=busy) for each in verdicts
        ]

    quiet, doubt = runs(*[SAME] * 20), Verdict.INCONCLUSIVE
    assert why_alarming(quiet) == ""
    assert why_alarming([*quiet[1:], *runs(doubt)]) == ""
    assert why_alarming([*quiet[2:], *runs(doubt, doubt)]) == "2 ended with 4, at most 1 may"
    assert why_alarming([*quiet * 2, *runs(doubt, doubt)]) == ""
    alarms = runs(Verdict.REGRESSED, Verdict.MISSING, Verdict.INACCURATE, Verdict.REGRESSED, busy=True)
    assert why_alarming([*quiet, *alarms]) == "2 ended with 3, 1 ended with 5, 1 ended with 6"
    both = "of 20 gate runs by themselves 20 ended with 0; of 4 gate runs beside a process that keeps a core busy "
    assert in_words([*quiet, *alarms]) == f"{both}2 ended with 3, 1 ended with 5, 1 ended with 6"
    told = gate_sentence(COUNTED.parents[1] / "gate/false-alarms.json")
    assert told.startswith("`vlbench gate")
    runs = GateRuns.model_validate_json((COUNTED.parents[1] / "gate/false-alarms.json").read_text()).runs
    blind = sum(any(share > 0.05 for share in run.visible) for run in runs)
    assert told.endswith(f"Under the usual threshold of 5.0 %, {blind} of them would have been inconclusive.")


def test_a_file_of_before_there_were_neighbours_can_be_read() -> None:
    found = GateRuns.model_validate_json((COUNTED.parents[1] / "gate/false-alarms.json").read_text())
    assert len(found.runs) == 40
