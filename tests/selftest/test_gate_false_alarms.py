from __future__ import annotations

import json
from pathlib import Path

import pytest

from vlbench.errors import UsageError
from vlbench.judging.identical import Evidence
from vlbench.selftest.gate_false_alarms import measure

COUNTED = Path(__file__).parents[2] / "results/baselines/best-of-many.json"


def test_a_folder_that_is_not_there_is_found_out_first(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the folder .*nowhere does not exist"):
        measure(tmp_path / "nowhere/out.json")


def test_what_each_run_said_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measure(tmp_path / "out.json", [COUNTED], runs=1)
    found = Evidence.model_validate(json.loads((tmp_path / "out.json").read_text()))
    assert [run.is_alarm for run in found.runs] == [False]
    assert f"--baseline {COUNTED}" in found.command
    assert "0 of 1 gate runs called different (at most 95.0 %)" in capsys.readouterr().out
