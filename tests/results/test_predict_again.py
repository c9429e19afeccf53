"""What was held against a GPU and predicted anew: the same rows, by two boards, as the page shows them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from results.predict_again import CHECKED, MEASURED, PATH, STORED, again_table, held_trace_table
from vlbench.predicting.captured_host import STATED
from vlbench.predicting.checked import CheckedPrediction
from vlbench.predicting.host import Act, host_times
from vlbench.predicting.predicted import Prediction
from vlbench.predicting.reading import prediction_in
from vlbench.untrusted.files import read_json


def test_the_same_rows_by_the_hosts_of_today_on_both_boards() -> None:
    then, now = (prediction_in(path, read_json(path, STORED)) for path in (CHECKED, PATH))
    assert isinstance(then, CheckedPrediction)
    assert isinstance(now, Prediction)
    rows = [row.row for group in then.prediction.groups for row in group.rows]
    for board in ("h200", "measured-nvidia-h200"):
        assert [row.row for group in now.groups for row in group.rows if row.gpu == board] == rows
    assert now.hosts == host_times().checksum, "write it anew with `python -m results.predict_again`"
    assert then.prediction.hosts != now.hosts  # what was held against a GPU stays as it was predicted


def test_the_page_has_a_line_for_each_row_and_for_each_operator(tmp_path: Path) -> None:
    lines = (again_table() or "").splitlines()
    assert len(lines) == 2 + 6
    assert {line.count("|") for line in lines} == {10}
    assert lines[3].startswith("| exact | ")
    assert " | 60-170 | hit in some | 66-109 | hit in some | 1.95 | 1.54-2.00 |" in lines[3]
    down = next(line for line in (held_trace_table() or "").splitlines() if "3420x1280" in line)
    assert down == "| `aten::addmm` | 1280 1296x3420 3420x1280 | 96 | 73.6 | 41-101 | hit |"
    assert again_table(tmp_path / "none.json") is held_trace_table(tmp_path / "none.json") is None


def test_a_call_that_waits_is_what_the_probe_saw_of_one() -> None:
    """`item()` with nothing queued, over a launch in the same kind of loop."""
    costs = json.loads((MEASURED.with_name("probe.json")).read_text())["answers"]["host-costs"]["found"]
    seen = costs["item"]["median_us"] / costs["add, no wait"]["median_us"]
    assert STATED[Act.WAIT] == pytest.approx((seen, seen), abs=0.01)
