from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import typer

import results.refresh
from results import false_alarms
from results.refresh import STEPS, Ended, Step, chosen, run_steps, table, words_of
from vlbench.cli import app
from vlbench.errors import UsageError
from vlbench.judging.identical import tally, upper_bound
from vlbench.judging.words import percent
from vlbench.revisions.compare import PAIRS, FalseAlarms
from vlbench.revisions.request import Way

ROOT = Path(__file__).parents[2]
ELSEWHERE = {"gpu", "calibration", "kernel_times", "engines"}
"""Folders of what is measured on GPUs, taken from captures of them, or counted where an engine is: by no step."""
CHECKED = "checked-"
"""How the name of a prediction begins that was held against a GPU, which is needed for it as well."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(results.refresh, "ROOT", tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for name, code in {
        "good": "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(' '.join(sys.argv[2:]))",
        "bad": "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text('measured'); sys.exit(3)",
        "idle": "",
    }.items():
        (tmp_path / f"{name}_step.py").write_text(code)
    return tmp_path


def test_every_step_is_a_line_with_what_it_writes_and_every_file_is_there() -> None:
    lines = table(STEPS, {"flags": Ended(90, 0), "self-test": Ended(60, 3)}).splitlines()
    assert len(lines) == len(STEPS) + 1
    assert lines[0].split()[:3] == ["flags", "1.5", "min"]
    assert any("ended with 3" in line for line in lines)
    assert sum(step.minutes for step in STEPS) > 60
    kept = [name for step in STEPS for name in step.writes if not name.startswith("vlbench-refresh")]
    assert all((ROOT / name).is_file() for name in kept)
    stored = [path for path in (ROOT / "results").rglob("*.json") if not path.name.startswith(CHECKED)]
    made = {str(path.relative_to(ROOT)) for path in stored if not ELSEWHERE & {*path.parts}}
    assert made <= set(kept), "a stored result that no step makes"


@pytest.mark.parametrize("step", [step for step in STEPS if "vlbench" in step.command or "false" in step.command])
def test_every_option_of_a_command_is_there(step: Step) -> None:
    module, *words = words_of(step, "why", resume=False)[2:]
    command = typer.main.get_command({"vlbench": app, "results.false_alarms": false_alarms.app}[module])
    for added in ([], ["--resume"] if step.resumes else []):
        context, rest = command.make_context(module, [*words, *added]), [*words, *added]
        while isinstance(command_here := context.command, typer.core.TyperGroup):
            name, found, rest = command_here.resolve_command(context, rest)
            assert found is not None
            context = found.make_context(name, rest, parent=context)  # which refuses an option that is not there


def test_some_steps_are_run_in_their_order() -> None:
    assert [step.name for step in chosen(STEPS, ["seam", "flags"])] == ["flags", "seam"]
    assert list(chosen(STEPS, [])) == list(STEPS)
    with pytest.raises(UsageError, match=r"^--only: there is no step 'seem'; the steps are flags, "):
        chosen(STEPS, ["seem"])


def test_the_reason_is_one_word_of_the_command() -> None:
    step = next(step for step in STEPS if "{reason}" in step.command)
    words = words_of(step, "Two words.")
    assert words[words.index("--reason") + 1] == "Two words."
    assert words[words.index("--by") + 1] == "The vlbench authors"
    assert not [word for word in words if "{" in word]
    assert "--force" not in words_of(step, "x", resume=True)


def test_what_is_done_stays_done_and_what_was_measured_badly_is_said(folder: Path) -> None:
    steps = [Step("one", 1, "good_step a.txt x {reason}", ("a.txt",)), Step("two", 1, "bad_step b.txt", ("b.txt",))]
    done = run_steps(steps, "for a release", folder / "state.json")
    assert (folder / "a.txt").read_text() == "x for a release"
    assert [done[name].code for name in ("one", "two")] == [0, 3]
    (folder / "a.txt").unlink()
    assert run_steps(steps, "again", folder / "state.json") == done
    assert not (folder / "a.txt").exists()


def test_a_step_that_leaves_an_old_file_stops_all(folder: Path) -> None:
    (folder / "a.txt").write_text("of last year")
    os.utime(folder / "a.txt", (time.time() - 60,) * 2)
    step = Step("one", 1, "idle_step", ("a.txt",))
    with pytest.raises(UsageError, match=r"^one ended with 0 and did not write a\.txt"):
        run_steps([step], "", folder / "state.json")


def test_an_interrupted_step_goes_on_from_its_own_file_alone(folder: Path) -> None:
    step = Step("one", 1, "good_step a.txt", ("a.txt",), "a.txt")
    (folder / "a.txt").write_text("of an earlier release")
    run_steps([step], "", folder / "state.json")
    assert (folder / "a.txt").read_text() == ""
    (folder / "state.json").write_text('{"begun": "one", "done": {}}')
    run_steps([step], "", folder / "state.json")
    assert (folder / "a.txt").read_text() == "--resume"


def test_the_page_on_ab_says_what_was_measured() -> None:
    found = FalseAlarms.model_validate_json((ROOT / "results/ab/false-alarms.json").read_text())
    page = (ROOT / "results/ab/README.md").read_text()
    assert found.fingerprint.cpu
    assert found.fingerprint.cpu in page
    for way in Way:
        assert f"- {way}: {tally([run for run in found.runs if run.way is way], PAIRS)}" in page.splitlines()


def test_what_the_runs_of_ab_can_say() -> None:
    """As results/ab/README.md has it."""
    step = next(step for step in STEPS if step.name == "false alarms of ab")
    runs = int(step.command.split("--runs ")[1].split()[0])
    assert step.minutes <= 30
    page = " ".join((ROOT / "results/ab/README.md").read_text().split())
    assert f"makes {runs} comparisons in each way" in page
    assert f"fewer than {percent(upper_bound(0, runs))} of such comparisons are in each way" in page
    assert f"together, {2 * runs} of them, fewer than {percent(upper_bound(0, 2 * runs))}" in page
    assert f"would say {percent(upper_bound(0, 40))}" in page
