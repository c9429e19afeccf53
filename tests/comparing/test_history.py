"""Figures over versions: each step of a count, levels of times, and what is never put into one series."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.comparing.test_captured import program
from tests.gating.timings import measured, stored
from tests.record.baselines import KEY, baseline, cell, forward
from tests.record.records import FINGERPRINT, results
from vlbench.comparing.history import Change, History, Series, Version, history_of, history_rows, version_of
from vlbench.errors import IncomparableError, UsageError
from vlbench.export.formats.json import document_of
from vlbench.judging.judged import Judged, JudgedRow, Move
from vlbench.record.baseline import Baseline
from vlbench.record.baseline_files import write_baseline
from vlbench.record.files import write_results
from vlbench.record.schema import Results

ELSEWHERE = FINGERPRINT.model_copy(update={"cpu": "another CPU"})


def version(folder: Path, record: Results | Baseline, name: str) -> Version:
    path = folder / f"{name}.json"
    write_results(record, path) if isinstance(record, Results) else write_baseline(record, path)
    return version_of(path, name)


def history(folder: Path, *records: Results | Baseline) -> History:
    return history_of("all", [version(folder, each, f"v{number}") for number, each in enumerate(records)])


def find(found: History, figure: str) -> list[Series]:
    return [each for each in found.series if each.figure == figure]


def counting(syncs: int, **fields: Any) -> Baseline:
    return baseline(cell(forward(host_syncs=syncs), **fields))


def timing(seconds: float, **fields: Any) -> Baseline:
    return baseline(timed=(stored(0.5, 0.5, 0.5, 0.5, 0.5, seconds=seconds),), counted=(), **fields)


def test_any_step_of_a_count_is_a_change(tmp_path: Path) -> None:
    found = history(tmp_path, *map(counting, (4, 4, 5, 5, 4)))
    (syncs,) = find(found, "second forward: host_syncs")
    assert (syncs.cell, syncs.machine) == ("toy:Tower single-image bfloat16 sm_90", "")
    assert syncs.values == (4, 4, 5, 5, 4)
    assert syncs.changes == (Change(2, 4, 5), Change(4, 5, 4))
    assert [each.figure for each in found.series if each.changes] == [
        "second forward: host_syncs",
        "first forward: host_syncs",
    ]
    assert found.notes == ()
    assert [each.date for each in found.versions] == ["2025-11-03"] * 5


def test_a_step_with_another_torch_says_so(tmp_path: Path) -> None:
    newer = KEY.model_copy(update={"torch_version": "2.14.0"})
    (syncs,) = find(history(tmp_path, counting(4), counting(6, key=newer)), "second forward: host_syncs")
    assert syncs.changes[0].why == "torch 2.13.0, flash, 1x36x36 -> torch 2.14.0, flash, 1x36x36"


def test_a_cell_that_is_gone_for_a_while_is_no_zero(tmp_path: Path) -> None:
    found = history(tmp_path, counting(4), baseline(cell(tower="toy:Other")), counting(5))
    syncs = next(each for each in find(found, "second forward: host_syncs") if "Tower" in each.cell)
    assert syncs.values == (4, None, 5)
    assert syncs.changes == (Change(2, 4, 5),)


def test_a_counter_that_a_capture_leaves_out_is_zero(tmp_path: Path) -> None:
    paths = [program(tmp_path, str(number), launches=launches) for number, launches in enumerate((3, 3, 0))]
    found = history_of("all", [version_of(path, path.stem) for path in paths])
    (launches,) = (each for each in found.series if each.figure.endswith("launches"))
    assert (launches.cell, launches.values) == ("capture", (3, 3, 0))
    assert launches.changes[0].at == 2


def test_times_change_by_levels_on_one_machine(tmp_path: Path) -> None:
    pytest.importorskip("ruptures")
    times = [0.0100, 0.0101, 0.0099, 0.0100, 0.0101, 0.0120, 0.0121, 0.0119, 0.0120, 0.0121]
    found = history(tmp_path, *map(timing, times))
    (seconds,) = find(found, "time")
    assert seconds.changes == (Change(5, 0.0100, 0.0120),)
    assert seconds.machine == FINGERPRINT.machine_class
    (ratio,) = find(found, "time of baseline")
    assert (ratio.values, ratio.changes) == ((0.5,) * 10, ())


def test_each_level_is_held_against_the_one_before_it(tmp_path: Path) -> None:
    pytest.importorskip("ruptures")
    times = [level + noise for level in (0.01, 0.02, 0.04) for noise in (0.0, 1e-4, -1e-4, 0.0, 1e-4)]
    (seconds,) = find(history(tmp_path, *map(timing, times)), "time")
    assert seconds.changes == (Change(5, 0.01, 0.02), Change(10, 0.02, 0.04))


def test_times_of_two_machines_are_two_series(tmp_path: Path) -> None:
    found = history(
        tmp_path, *(timing(each) for each in [0.01] * 5), *(timing(0.02, fingerprint=ELSEWHERE) for _ in range(5))
    )
    here, there = find(found, "time")
    assert here.machine != there.machine
    assert (here.values[5:], there.values[:5]) == ((None,) * 5, (None,) * 5)
    assert here.changes == there.changes == ()
    assert "4 of 4 series of times are shorter than 10, two levels of 5: no change is looked for there" in found.notes


def test_times_of_something_else_are_followed_anew(tmp_path: Path) -> None:
    other = baseline(timed=(stored(0.5, 0.5, 0.5, 0.5, 0.5, threads=2),), counted=())
    found = history(tmp_path, timing(0.01), other, timing(0.01))
    assert len(find(found, "time")) == 3
    told = "is followed anew from here: the two were run with another number of threads"
    assert f"v1: qwen2.5-vl-tiny host-grid multi-image float32 {told}" in " ".join(found.notes)


def test_results_have_a_date_and_their_counts(tmp_path: Path) -> None:
    found = history(tmp_path, results(measured(*[0.5] * 5)))
    assert found.versions[0].date == "2025-11-21 09:30:00"
    assert find(found, "time of baseline")[0].values == (0.5,)


def test_verdicts_have_what_moved(tmp_path: Path) -> None:
    moves = (
        Move(kind="counter", name="host_syncs", before=4, after=6),
        Move(kind="line", name="a line", before=0, after=1),
    )
    row = JudgedRow.counted("toy:Tower", moves, "")
    time = JudgedRow.missing("toy:Tower", "time", "").model_copy(update={"after": 1.5})
    path = tmp_path / "gate.json"
    path.write_text(json.dumps(document_of(Judged(command="gate", before="a", after="b", rows=(row, time)))))
    found = history_of("all", [version_of(path, "gate")])
    (syncs,) = found.series
    assert (syncs.figure, syncs.values, syncs.changes) == ("host_syncs", (6,), (Change(0, 4, 6),))
    assert found.notes == ("gate: 1 times of its verdicts name no machine, and are left out",)


@pytest.mark.parametrize(("field", "other"), [("after", "before"), ("before", "after")])
@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), 1e308, -1e308])
@pytest.mark.parametrize("unit", ["", "B", "s"])
def test_a_figure_that_nothing_measures_is_refused(
    tmp_path: Path, field: str, other: str, value: float, unit: Any
) -> None:
    move = Move(kind="counter", name="host_syncs", unit=unit, **{field: value, other: 4.0})
    judged = Judged(command="gate", before="a", after="b", rows=(JudgedRow.counted("toy:Tower", (move,), ""),))
    path = tmp_path / "gate.json"
    path.write_text(json.dumps(document_of(judged)))
    with pytest.raises(
        UsageError, match=rf"gate.json: toy:Tower: host_syncs: {value:g} is not below".replace("+", r"\+")
    ):
        version_of(path, "gate")


def test_rows_are_plain(tmp_path: Path) -> None:
    rows = history_rows(history(tmp_path, counting(4), counting(5)))
    one = next(row for row in rows if row["figure"] == "second forward: host_syncs" and row["version"] == "v1")
    assert one == {
        "source": "all",
        "cell": "toy:Tower single-image bfloat16 sm_90",
        "figure": "second forward: host_syncs",
        "unit": "",
        "machine": "",
        "version": "v1",
        "date": "2025-11-03",
        "words": "",
        "value": 5,
        "changed": True,
        "before": 4,
        "why": "",
    }
    json.dumps(rows)


def test_what_was_edited_is_named(tmp_path: Path) -> None:
    path = tmp_path / "v.json"
    write_baseline(counting(4).model_copy(update={"trials": 9}), path)
    assert version_of(path, "v").notes == ("v: was edited by hand since it was accepted",)


@pytest.mark.parametrize(
    ("text", "told", "kind"),
    [
        ("[1]", "holds no results, baseline, count or verdicts of vlbench", UsageError),
        ('{"kind": "baseline", "schema_version": 7}', "schema_version is 7", IncomparableError),
        ("no json", "not JSON", UsageError),
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str, told: str, kind: type[UsageError]) -> None:
    (tmp_path / "v.json").write_text(text)
    with pytest.raises(kind, match=told):
        version_of(tmp_path / "v.json", "v")
