from __future__ import annotations

from pathlib import Path

import pytest

import vlbench
from tests.export.judged_examples import one_of_everything
from tests.record.baselines import TIMED, baseline, cell
from tests.record.records import group, results, timed, trial
from tests.record.test_files import FULL
from vlbench.api.measured import Measured
from vlbench.api.results import Counted, Stored, Verdicts
from vlbench.errors import UsageError
from vlbench.export.formats.json import json_text
from vlbench.export.sheet import compared
from vlbench.record.baseline_files import write_baseline
from vlbench.record.counted import CountedTower, CountGroup, CountReport
from vlbench.record.files import write_results


def test_results(tmp_path: Path) -> None:
    write_results(FULL, tmp_path / "a.json")
    found = vlbench.load(tmp_path / "a.json")
    assert isinstance(found, Measured)
    assert found.record == FULL
    table = found.table().set_index("variant")
    assert list(table.index) == ["baseline", "rope-cache", "window-sort", "host-grid"]
    assert table.loc["rope-cache", "seconds"] == pytest.approx(0.375 * 0.0105)
    assert table.loc["window-sort", "verdict"] == "inaccurate"
    assert table.loc["host-grid", "verdict"] == "missing"
    assert found.exit_code == 5
    assert len(found.samples()) == 2 * 2 * 6 + 4


def test_a_row_for_each_state(tmp_path: Path) -> None:
    states = ("warm", "cold")
    write_results(results(group(trial(timed("rope-cache", 0.5, states)))), tmp_path / "a.json")
    table = vlbench.load(tmp_path / "a.json").table()
    assert list(zip(table["variant"], table["state"], strict=True)) == [
        (name, state) for state in states for name in ("baseline", "rope-cache")
    ]


def test_a_baseline_that_nobody_accepted(tmp_path: Path) -> None:
    write_baseline(baseline(cell(), timed=(TIMED,), accepted=()), tmp_path / "a.json")
    found = vlbench.load(str(tmp_path / "a.json"))
    assert isinstance(found, Stored)
    assert "accepted by nobody yet" in found.title
    table = found.table()
    assert list(table["kind"]) == ["counted", "counted", "timed"]
    assert list(table["host_syncs"][:2]) == [0, 0]
    assert table["seconds"].iloc[2] == 0.01


def test_a_report_of_counts_and_verdicts(tmp_path: Path) -> None:
    towers = (CountedTower(name="toy", tower="a:b", failed="it raised"),)
    groups = (CountGroup(scenario="grid", point="", grids=((1, 4, 6),), towers=towers),)
    report = CountReport(vlbench="0", profile="sm_90", dtype="bfloat16", groups=groups, seconds=1.0, peak_host_bytes=1)
    (tmp_path / "count.json").write_text(report.with_checksum().model_dump_json())
    counted = vlbench.load(tmp_path / "count.json")
    assert isinstance(counted, Counted)
    assert list(counted.table()["failed"]) == ["it raised", "it raised"]
    assert counted.exit_code == 6

    judged = one_of_everything()
    (tmp_path / "gate.json").write_text(json_text(compared(judged)))
    verdicts = vlbench.load(tmp_path / "gate.json")
    assert isinstance(verdicts, Verdicts)
    assert verdicts.record == judged
    assert list(verdicts.table()["verdict"]) == [str(row.verdict) for row in judged.rows]
    assert verdicts.exit_code == judged.exit_code == 5


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[1]", "holds no results, baseline, count, prediction or verdicts of vlbench"),
        ("{", "not JSON"),
        ('{"groups": [], "profile": "sm_90"}', "Field required"),
        ('{"kind": "baseline"}', "schema_version is None"),
    ],
)
def test_what_is_none_of_them(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(UsageError) as caught:
        vlbench.load(tmp_path / "a.json")
    assert str(tmp_path / "a.json") in str(caught.value)
    assert words in str(caught.value)


def test_a_notebook_shows_the_table_and_runs_no_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    write_results(results(group(trial(timed(evil, 0.5)), scenario=evil), command=evil), tmp_path / "a.json")
    html = vlbench.load(tmp_path / "a.json")._repr_html_()
    assert "<table" in html
    assert "<script" not in html
    assert "&lt;script&gt;" in html
