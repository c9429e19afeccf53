"""Times through the gate: real trials of toy towers, the real command line, and its real exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gating.timed_toys import SLOWER, TOWERS
from tests.record.baselines import baseline, cell
from tests.trial.plans import ONE_PICTURE, python_path
from vlbench.gating import Times
from vlbench.gating.timed import GateResult, here_for, judge_timed, without_praise
from vlbench.judging.exit_codes import ExitCode, worst
from vlbench.judging.judged import JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.record.baseline import Baseline, StoredTrial, TimedCell
from vlbench.record.baseline_files import load_baseline, write_baseline
from vlbench.record.fingerprint import take_fingerprint

MODULE = "edited_towers"
BASE = f"{MODULE}:base"


def toy(name: str, **fields: Any) -> TimedCell:
    """A cell of two copies of one program: its ratio is known to be 1, and where it waits is known, too."""
    trials = (StoredTrial(ratio=1.0, low=0.995, high=1.005, rounds=30, confidence=0.95),) * 4
    given: dict[str, Any] = {
        "variant": f"{MODULE}:{name}",
        "reference": BASE,
        "scenario": "one.toml",
        "point": "",
        "grids": ((1, 4, 4),),
        "model": BASE,
        "dtype": "float32",
        "device": "cpu",
        "state": "warm",
        "seed": 0,
        "threads": 1,
        "weights": "its own",
        "exactness": "bit-exact",
        "trials": trials,
        "seconds": 0.018,
        "stages": {"attention": 0.66, "mlp": 0.33},
        "floor": 0.03,
        "threshold": 0.5,
    }
    return TimedCell(**given | fields)


def toys(*cells: TimedCell, **fields: Any) -> Baseline:
    """A baseline of this machine that holds times alone."""
    given = {"name": "toys", "counted": (), "timed": cells, "fingerprint": take_fingerprint("cpu"), "trials": 4}
    return baseline(**given | fields)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder, with the towers and a scenario to feed them."""
    made = tmp_path_factory.mktemp("timed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        patch.syspath_prepend(made)
        patch.setenv("PYTHONPATH", python_path(made))
        patch.delitem(sys.modules, MODULE, raising=False)
        (made / "one.toml").write_text(ONE_PICTURE)
        (made / f"{MODULE}.py").write_text(TOWERS)
        yield made


def vlbench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "vlbench", *arguments], capture_output=True, text=True)


@pytest.fixture(scope="module")
def gated(folder: Path) -> tuple[int, dict[str, Any]]:
    """The status and the report of a gate over a program that was not touched, and one of which a stage is slower."""
    write_baseline(toys(toy("same"), toy("edited"), budget=5.0), Path("toys.json"))
    (folder / f"{MODULE}.py").write_text(SLOWER)
    gate = vlbench("gate", "--baseline", "toys.json", "--json")
    (folder / f"{MODULE}.py").write_text(TOWERS)
    assert gate.stdout, gate.stderr
    return gate.returncode, json.loads(gate.stdout)


@pytest.mark.timed
def test_a_stage_that_became_slower_is_called_and_named(gated: tuple[int, dict[str, Any]]) -> None:
    status, report = gated
    assert status == ExitCode.REGRESSED, report
    (row,) = [row for row in report["rows"] if f"{MODULE}:edited" in row["cell"]]
    assert row["verdict"] == "regressed"
    assert "two votes agree; most of it in the stage attention, +" in row["reason"]
    move = row["moves"][0]
    assert (move["kind"], move["name"]) == ("stage", "attention")
    assert move["after"] - move["before"] == pytest.approx(0.012, rel=0.5)
    assert (row["before"], row["after"]) == (1.0, pytest.approx(1.66, abs=0.25))
    assert row["low"] > 1.0


@pytest.mark.timed
def test_a_program_that_was_not_touched_is_the_same(gated: tuple[int, dict[str, Any]]) -> None:
    (row,) = [
        JudgedRow.model_validate_json(json.dumps(row)) for row in gated[1]["rows"] if f"{MODULE}:same" in row["cell"]
    ]
    assert (row.verdict, row.moves) == (Verdict.SAME, ())
    assert worst([row.verdict]) is ExitCode.OK


@pytest.mark.timed
def test_the_proposal_holds_what_changed_and_keeps_what_did_not(gated: tuple[int, dict[str, Any]]) -> None:
    assert gated[1]["written"] == "toys.proposed.json"
    stored, proposed = load_baseline(Path("toys.json")).timed, load_baseline(Path("toys.proposed.json")).timed
    assert proposed[0] == stored[0]
    assert proposed[1].name == stored[1].name
    assert [trial.ratio for trial in proposed[1].trials] == [pytest.approx(1.66, abs=0.25)] * 4
    assert (proposed[1].floor, proposed[1].threshold, proposed[1].scenario) == (0.03, 0.5, "one.toml")
    assert proposed[1].stages["attention"] > stored[1].stages["attention"]


@pytest.fixture(scope="module")
def elsewhere(folder: Path) -> dict[str, list[JudgedRow]]:
    """The rows by variant of a baseline from another machine, whose towers are right, wrong, deadly and gone."""
    (folder / f"{MODULE}.py").write_text(TOWERS)
    cells = [*map(toy, ("same", "Wrong", "Dies", "renamed")), toy("edited", grids=((1, 2, 2),))]
    there = take_fingerprint("cpu").model_copy(update={"cpu": "another CPU"})
    stored = toys(*cells, fingerprint=there)
    rows, (note,), again = judge_timed(stored, here_for(stored), Times.AUTO)
    assert note.startswith("toys: 5 timed cells not compared, for this is another class of machine (CPU: another CPU")
    assert again == ()
    return {each.variant: [row for row in rows if row.cell == each.name] for each in cells}


def test_on_another_machine_accuracy_is_checked_and_times_are_missing(elsewhere: dict[str, list[JudgedRow]]) -> None:
    time, accuracy = elsewhere[f"{MODULE}:same"]
    assert (time.measure, time.verdict, accuracy.measure, accuracy.verdict) == (
        *("time", Verdict.MISSING),
        *("accuracy", Verdict.SAME),
    )
    assert "another class of machine, and times do not travel (CPU: another CPU against" in time.reason
    assert time.gates  # there is nothing else to gate on
    assert worst([time.verdict, accuracy.verdict]) is ExitCode.MISSING


def test_a_wrong_output_is_inaccurate_on_any_machine(elsewhere: dict[str, list[JudgedRow]]) -> None:
    (row,) = elsewhere[f"{MODULE}:Wrong"]
    assert (row.measure, row.verdict) == ("accuracy", Verdict.INACCURATE)
    assert "not bit-exact in fp32" in row.reason


def test_what_cannot_be_run_is_missing_with_its_own_sentence(elsewhere: dict[str, list[JudgedRow]]) -> None:
    _, died = elsewhere[f"{MODULE}:Dies"]
    assert (died.verdict, died.gates) == (Verdict.MISSING, True)
    assert "SIGABRT" in died.reason
    (renamed,) = elsewhere[f"{MODULE}:renamed"]
    assert (renamed.verdict, renamed.gates) == (Verdict.MISSING, True)
    assert f"{MODULE} has no 'renamed'" in renamed.reason
    (other,) = elsewhere[f"{MODULE}:edited"]
    assert other.reason == "the scenario one.toml feeds other grids than those that were timed"


@pytest.mark.parametrize(("policy", "rows"), [(Times.NEVER, 0), (Times.REQUIRE, 1)])
def test_times_that_are_not_measured_are_said(folder: Path, policy: Times, rows: int) -> None:
    stored = toys(toy("same"), counted=(cell(),), fingerprint=baseline().fingerprint)
    found, notes, again = judge_timed(stored, here_for(stored), policy)
    assert (len(found), len(notes), again) == (rows, 1 - rows, ())
    assert all(row.verdict is Verdict.MISSING and row.gates for row in found)
    assert all("1 timed cell left out" in note for note in notes)


def test_a_time_without_a_say_is_never_better() -> None:
    better = JudgedRow(cell="c", measure="time", verdict=Verdict.IMPROVED, reason="faster", gates=False)
    row = without_praise(better)
    assert (row.verdict, row.gates) == (Verdict.INCONCLUSIVE, False)
    assert row.reason == "times have no say here, so nothing is called better; faster"
    for other in (better.model_copy(update={"gates": True}), better.model_copy(update={"verdict": Verdict.REGRESSED})):
        assert without_praise(other) == other
    assert not GateResult([better, better.model_copy(update={"verdict": Verdict.REGRESSED})], []).moved


def test_a_baseline_without_times_has_no_rows() -> None:
    assert judge_timed(baseline(), baseline().fingerprint) == ([], [], ())
