"""Makes every stored result, baseline and figure of the documentation afresh: `python -m results.refresh`.

One step after the other, each a command that anyone could run. What is done stays done: after an interruption the same
call goes on, and what a step had measured by then it goes on with as well, where its command can. Measure alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from vlbench.errors import UsageError
from vlbench.record.files import write_whole

ROOT = Path(__file__).parents[1]
STATE = ROOT / ".vlbench-refresh.json"
"""What is done, and in how many seconds; ignored by git, and removed at the end."""
AUTHORS = "The vlbench authors"
COUNTED = "results/baselines"
TINY = "results/baselines/times/qwen2.5-vl-tiny.json"
RELEASES = ("5.19.0", "5.20.2", "5.21.1", "5.22.2", "5.23.0")
ATLASES = tuple(f"results/atlas/transformers-{each}.json" for each in RELEASES)
ICON = "results/baselines/times/icon.toml"


@dataclass(frozen=True)
class Step:
    """One line of the table."""

    name: str
    minutes: float
    """About, on two cores."""
    command: str
    """Words after `python -m`; {reason} and {by} are put in as one word each."""
    writes: tuple[str, ...]
    """Relative to the repository."""
    resumes: str = ""
    """The file from which the command goes on with --resume; "" for one that begins anew."""


class Ended(NamedTuple):
    """How a step ended."""

    seconds: float
    code: int
    """Not 0 where what was measured is not as it should be; it was written all the same."""


Done = dict[str, Ended]
"""By name of the step."""


STEPS = (
    Step("flags", 4, "results.count_flags", ("results/flags/counts.json",)),
    Step("plans", 1, "results.count_plans", ("results/plans/multi-image.json",)),
    Step("atlas", 10, "vlbench atlas --over 5.19..5.23 --out results/atlas --force", ATLASES),
    Step("levels of times", 1, "results.history_levels", ("results/history/levels.json",)),
    Step("predictions", 1, "results.predict_published", ("results/predictions/published.json",)),
    Step("predictions of an H200", 1, "results.predict_again", ("results/predictions/again-h200.json",)),
    Step("the host of that", 1, "results.host_terms", ("results/predictions/host-terms-h200.json",)),
    Step(
        "counts of qwen2-vl",
        1,
        f"vlbench baseline save {COUNTED}/qwen2-vl-7b.json --tower qwen2-vl-7b --with best"
        " --scenario single-image --as sm_90 --reason {reason} --by {by} --force",
        (f"{COUNTED}/qwen2-vl-7b.json",),
    ),
    Step(
        "counts of qwen2.5-vl",
        1,
        f"vlbench baseline save {COUNTED}/qwen2.5-vl-7b.json --tower qwen2.5-vl-7b --with best"
        " --scenario single-image --as sm_90 --reason {reason} --by {by} --force",
        (f"{COUNTED}/qwen2.5-vl-7b.json",),
    ),
    Step(
        "counts of qwen3-vl",
        1,
        f"vlbench baseline save {COUNTED}/qwen3-vl-8b.json --tower qwen3-vl-8b --with best"
        " --scenario single-image --as sm_90 --reason {reason} --by {by} --force",
        (f"{COUNTED}/qwen3-vl-8b.json",),
    ),
    Step(
        "counts of qwen3.5",
        1,
        f"vlbench baseline save {COUNTED}/qwen3.5-9b.json --tower qwen3.5-9b --with best"
        " --scenario single-image --as sm_90 --reason {reason} --by {by} --force",
        (f"{COUNTED}/qwen3.5-9b.json",),
    ),
    Step(
        "counts of many images",
        1,
        f"vlbench baseline save {COUNTED}/best-of-many.json --tower qwen2.5-vl-7b+best"
        " --scenario multi-image --as sm_90 --reason {reason} --by {by} --force",
        (f"{COUNTED}/best-of-many.json",),
    ),
    Step(
        "times of an icon",
        2,
        f"vlbench run --scenario {ICON} --with best --trials 5 --budget 60 --out vlbench-refresh-icon.json --force",
        ("vlbench-refresh-icon.json",),
    ),
    Step(
        "baseline of an icon",
        1,
        f"vlbench baseline save {TINY} --results vlbench-refresh-icon.json --tower qwen2.5-vl-tiny+best"
        f" --scenario {ICON} --as sm_90 --reason {{reason}} --by {{by}} --force",
        (TINY,),
    ),
    Step(
        "main job",
        2,
        "vlbench run --scenario multi-image --out results/multi-image-cpu.json --svg docs/multi-image.svg --force",
        ("results/multi-image-cpu.json", "docs/multi-image.svg"),
    ),
    Step(
        "full width",
        13,
        "results.recommend.full_width --out results/recommend/full-width.json",
        ("results/recommend/full-width.json",),
    ),
    Step(
        "chosen sets",
        50,
        "results.recommend.full_width --choose --threads 2 --out results/recommend/chosen.json",
        (
            "results/recommend/chosen.json",
            "results/recommend/width-1280-float32.toml",
            "results/recommend/width-1280-bfloat16.toml",
        ),
    ),
    Step(
        "seam",
        4,
        "vlbench run --seam inverse-permutation --trials 5 --budget 240 --force"
        " --out results/inverse-permutation-cpu.json",
        ("results/inverse-permutation-cpu.json",),
    ),
    Step(
        "self-test",
        25,
        "vlbench self-test --compare-rules --out vlbench-refresh-self-test.json --markdown docs/self-test.md --force",
        ("docs/self-test.md",),
        "vlbench-refresh-self-test.journal.jsonl",
    ),
    Step("regressions", 40, "tests.gating.regressions.table", ("docs/regressions.md",)),
    Step(
        "false alarms of gate",
        20,
        "results.false_alarms gate --out results/gate/false-alarms.json",
        ("results/gate/false-alarms.json",),
        "results/gate/false-alarms.json",
    ),
    Step(
        "false alarms of ab",
        27,
        "results.false_alarms ab --runs 8 --budget 150 --out results/ab/false-alarms.json",
        ("results/ab/false-alarms.json",),
    ),
    Step("documentation", 0.2, "docs.generate", ("README.md",)),
)
"""In order: what is judged by a baseline comes after it, and the pages come last."""


def main(
    show: Annotated[bool, typer.Option("--list", help="Print the steps, run none.")] = False,
    reason: Annotated[str, typer.Option(help="What the history of the baselines will say.")] = "Counted for a release.",
    only: Annotated[list[str] | None, typer.Option(help="A step, in place of all; repeatable.")] = None,
) -> None:
    """Run every step that is not done. Ends with 1 where a step measured what should not be, as its line says."""
    steps = chosen(STEPS, only or [])
    if show:
        print(table(steps, {}))
        return
    done = run_steps(steps, reason, STATE)
    STATE.unlink()
    print(table(steps, done))
    if any(ended.code for ended in done.values()):
        raise typer.Exit(1)


def chosen(steps: Sequence[Step], only: Sequence[str]) -> Sequence[Step]:
    """The steps of these names in their order, all where none is named. Raises UsageError for one that is none."""
    names = [step.name for step in steps]
    if strange := [name for name in only if name not in names]:
        raise UsageError(f"--only: there is no step {strange[0]!r}; the steps are {', '.join(names)}")
    return [step for step in steps if not only or step.name in only]


def table(steps: Sequence[Step], done: Done) -> str:
    """A line per step: about how long it takes, or how long it took and how it ended, and what it writes."""
    width = max(len(step.name) for step in steps)
    lines = []
    for step in steps:
        told = f"about {step.minutes:g} min"
        if ended := done.get(step.name):
            told = f"{ended.seconds / 60:.1f} min" + (f", ended with {ended.code}" if ended.code else "")
        lines.append(f"{step.name:{width}}  {told:24}  {', '.join(step.writes)}")
    return "\n".join([*lines, f"about {sum(step.minutes for step in steps):.0f} minutes in all"])


def run_steps(steps: Sequence[Step], reason: str, state: Path) -> Done:
    """How each step ended; those that `state` calls done are not run again. Raises UsageError."""
    kept = json.loads(state.read_text()) if state.is_file() else {"begun": None, "done": {}}
    done: Done = {name: Ended(*ended) for name, ended in kept["done"].items()}
    for step in steps:
        if step.name not in done:
            write_whole(state, json.dumps({"begun": step.name, "done": done}))
            done[step.name] = _run(step, reason, begun=step.name == kept["begun"])
    write_whole(state, json.dumps({"begun": None, "done": done}))
    return done


def words_of(step: Step, reason: str, *, resume: bool = False) -> list[str]:
    """The command of a step."""
    given = {"{reason}": reason, "{by}": AUTHORS}
    words = [given.get(word, word) for word in step.command.split()]
    if resume:
        words = [*(word for word in words if word != "--force"), "--resume"]
    return [sys.executable, "-m", *words]


def _run(step: Step, reason: str, *, begun: bool) -> Ended:
    """Runs a step. Raises UsageError where it did not write what it should."""
    if step.resumes and not begun:
        (ROOT / step.resumes).unlink(missing_ok=True)  # what it holds is of an earlier release
    command = words_of(step, reason, resume=bool(step.resumes) and (ROOT / step.resumes).is_file())
    print(f"{step.name}, about {step.minutes:g} min: {' '.join(command[2:])}", flush=True)
    clock, start = time.time(), time.monotonic()
    code = subprocess.run(command, cwd=ROOT).returncode
    for name in step.writes:
        path = ROOT / name
        if not path.is_file() or path.stat().st_mtime < clock - 1:
            raise UsageError(f"{step.name} ended with {code} and did not write {name}; mend that, and call this again")
    return Ended(time.monotonic() - start, code)


if __name__ == "__main__":
    try:
        typer.run(main)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
