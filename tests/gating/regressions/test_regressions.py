"""Each regression comes out as it is listed: seen where it is said to be seen, and missed where that is said."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gating.regressions.accuracy import check_accuracy
from tests.gating.regressions.copies import UNTOUCHED, copy_all, copy_package, tower_of
from tests.gating.regressions.counters import judge_counters
from tests.gating.regressions.listing import Edit, Outcome, regressions
from tests.trial.plans import SCENARIO_FILE, python_path
from vlbench.cli import main
from vlbench.comparing.counted_moves import COUNTERS
from vlbench.judging.exit_codes import ExitCode
from vlbench.judging.judged import JudgedRow
from vlbench.judging.verdict import Verdict

LISTED = regressions()


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with all copies is the current one, for this process and those that it starts."""
    copy_all(tmp_path, LISTED)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", python_path())


def seen(rows: list[JudgedRow], expected: Outcome) -> Outcome:
    """What the counters say, in the words of what was expected; a pass of accuracy is not theirs to say.

    What rises is that of two forwards: the counters of further calls have names of their own.
    """
    verdicts = [row.verdict for row in rows]
    verdict = next((each for each in (Verdict.REGRESSED, Verdict.IMPROVED) if each in verdicts), Verdict.SAME)
    risen = [
        move
        for row in rows
        for move in row.moves
        if move.after > move.before and (move.kind != "counter" or move.name.partition(" (")[0] in COUNTERS)
    ]
    counters = {move.name.removesuffix(" (first forward)") for move in risen if move.kind == "counter"}
    lines = [move.name for move in risen if move.kind == "line"]
    return expected.model_copy(
        update={
            "counters": str(verdict),
            "rises": tuple(name for name in expected.rises if name in counters),
            "first_forward": bool(risen) and all("(first forward)" in move.name for move in risen),
            "line": expected.line if any(expected.line in name for name in ["", *lines]) else f"one of {lines}",
        }
    )


def advised(rows: list[JudgedRow]) -> set[str]:
    """What removes it, by the kind of what moved."""
    return {f"{move.kind}: {move.advice}" for row in rows for move in row.moves if move.advice}


@pytest.mark.slow
def test_counters_say_what_is_listed(copies: None) -> None:
    rows = judge_counters([UNTOUCHED, *(each.slug for each in LISTED)])
    assert {row.verdict for row in rows.pop(UNTOUCHED)} == {Verdict.SAME}
    outcomes = {each.slug: each.outcome for each in LISTED}
    assert {name: seen(found, outcomes[name]) for name, found in rows.items()} == outcomes
    assert {name: advised(found) for name, found in rows.items()} == {each.slug: set(each.advice) for each in LISTED}


@pytest.mark.slow
def test_accuracy_is_as_listed(copies: None) -> None:
    checked = check_accuracy([UNTOUCHED, *(each.slug for each in LISTED)], "float32")
    assert checked.pop(UNTOUCHED).passed
    assert {name: found.passed for name, found in checked.items()} == {
        each.slug: each.outcome.accuracy == "passed" for each in LISTED
    }


def test_what_no_judge_sees_is_there_all_the_same(copies: None) -> None:
    """In bf16 the tokens are others, but within the error of bf16 itself."""
    untouched, blind = check_accuracy([UNTOUCHED, "frequencies_follow_dtype"], "bfloat16").values()
    assert blind.passed
    assert blind.timed_error != untouched.timed_error


@pytest.mark.parametrize(("text", "times"), [("", 0), ("return x\nreturn x\n", 2)])
def test_an_edit_that_does_not_fit_is_refused(tmp_path: Path, text: str, times: int) -> None:
    (tmp_path / "tower.py").write_text(text)
    with pytest.raises(ValueError, match=f"tower.py has {times} times, not once"):
        Edit(file="tower.py", old="return x\n", new="").apply(tmp_path)
    assert (tmp_path / "tower.py").read_text() == text


@pytest.mark.slow
def test_the_command_line_ends_with_3_and_names_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (regression,) = (each for each in LISTED if each.slug == "item_per_layer")
    copy_package(tmp_path, "vision")
    (tmp_path / "image.toml").write_text(SCENARIO_FILE)
    monkeypatch.chdir(tmp_path)
    for name, value in {"PYTHONPATH": python_path(), "NO_COLOR": "1", "COLUMNS": "200"}.items():
        monkeypatch.setenv(name, value)
    what = ["--tower", tower_of("vision"), "--scenario", "image.toml", "--reason", "It is right."]
    monkeypatch.setattr(sys, "argv", ["vlbench", "baseline", "save", "baseline.json", *what])
    with pytest.raises(SystemExit) as saved:
        main()
    assert not saved.value.code
    regression.apply(tmp_path / "vision")
    gate = [sys.executable, "-m", "vlbench", "gate", "--baseline", "baseline.json"]
    judged = subprocess.run(gate, capture_output=True, text=True, timeout=300)
    assert judged.returncode == ExitCode.REGRESSED, judged.stdout + judged.stderr
    assert "host syncs rose from 0 to 4" in judged.stdout
    assert re.search(r"vision/optimized/tower\.py:\d+", judged.stdout)
