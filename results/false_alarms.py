"""How often a command that judges is wrong where nothing changed, as its users would meet it.

`python -m results.false_alarms gate` gates code that did not change; `... ab` compares a revision with itself.
Both run the real command, again and again. Measure alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from shutil import copy, copytree, ignore_patterns
from statistics import mean, median
from typing import Annotated, TypeVar

import typer

import vlbench.implementations
from vlbench.errors import UsageError, check_folder_of
from vlbench.judging.exit_codes import ExitCode, worst
from vlbench.judging.identical import Evidence, IdenticalRun, tally
from vlbench.judging.judged import Judged
from vlbench.judging.verdict import Floors
from vlbench.judging.words import percent
from vlbench.process.child import portable_environment
from vlbench.record.base import record_of
from vlbench.record.baseline_files import FOLDER, find_baselines
from vlbench.record.fingerprint import take_fingerprint
from vlbench.revisions.compare import PAIRS, FalseAlarms, Run
from vlbench.revisions.request import Way

VLBENCH = [sys.executable, "-P", "-m", "vlbench"]
A_RUN = 30
"""Seconds."""
TIMES = FOLDER / "times"
MODEL = "qwen2.5-vl-tiny"
TOWERS = {Way.ONE_PROCESS: f"{MODEL}+best", Way.LOCK_STEP: "factory:best"}
FACTORY = f'''"""The tower of the other way, as anyone's package would have it."""

from implementations import build_tower
from implementations.config import MODELS
from implementations.optimized import preset_flags
from implementations.weights import random_weights


def best():
    config = MODELS["{MODEL}"]
    return build_tower(config, preset_flags("best", config, "cpu")[0], random_weights(config))
'''
Identical = TypeVar("Identical", bound=IdenticalRun)

app = typer.Typer(add_completion=False, help="How often is a command wrong that judges what did not change?")


class GateRun(IdenticalRun):
    """One gate run over code that did not change."""

    busy: bool = False
    """Did another process keep a core busy meanwhile?"""

    @property
    def exit_code(self) -> ExitCode:
        """What it ended with."""
        return worst(self.verdicts)


class GateRuns(Evidence):
    """Many of them, as they are kept in a file."""

    runs: tuple[GateRun, ...]


@app.command()
def gate(
    out: Annotated[Path, typer.Option(help="Where to write what each run said; results/gate/false-alarms.json here.")],
    baseline: Annotated[list[Path] | None, typer.Option(help="Repeatable. [those in results/baselines/times]")] = None,
    runs: Annotated[int, typer.Option(min=1, help="Of the gate, every other one beside a busy process.")] = 40,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the runs that --out holds.")] = False,
) -> None:
    """Gate code that did not change, half of the time beside a process that keeps a core busy.

    Ends with 1 where that is an alarm: a 3, 5 or 6, or more than one 4 in twenty runs.
    """
    check_folder_of(out, f"--out {out}")
    paths = baseline or find_baselines(TIMES)
    shown = f"vlbench gate --times require --baseline {' --baseline '.join(map(str, paths))}"
    before = kept_before(out, shown) if resume else []
    with tempfile.TemporaryDirectory() as folder:  # where a false alarm writes its proposals
        copies = [part for path in paths for part in ("--baseline", copy(path, folder))]
        command = [*VLBENCH, "gate", "--times", "require", "--json", *copies]
        print(f"{runs - len(before)} gate runs at about {A_RUN} s each, known better after the first", flush=True)
        measured = (gated(command, busy=number % 2 == 1) for number in range(len(before), runs))
        found = _kept(measured, out, GateRuns, before, runs, command=shown)
    print(f"{in_words(found)}; the median took {median(run.seconds for run in found):.1f} s")
    if fault := why_alarming(found):
        print(f"FAILED: {fault}")
        raise typer.Exit(1)


def gated(command: Sequence[str], *, busy: bool) -> GateRun:
    """One run; `busy` has a process beside it that keeps a core busy."""
    with neighbour() if busy else nullcontext():
        return GateRun.model_validate({"busy": busy, **said_by(_judged_by(command))})


@contextmanager
def neighbour() -> Iterator[None]:
    """A process that keeps a core busy."""
    burns = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        burns.kill()
        burns.wait()


def kept_before(out: Path, command: str) -> list[GateRun]:
    """The runs of an earlier start. Raises UsageError for a file that is not there or holds others."""
    if not out.is_file():
        raise UsageError(f"--resume: {out} is not there; leave --resume out")
    found = GateRuns.model_validate_json(out.read_text())
    if found.command != command:
        raise UsageError(
            f"--resume: {out} holds runs of `{found.command}`; repeat its --baseline or leave --resume out"
        )
    return list(found.runs)


def why_alarming(runs: Sequence[GateRun]) -> str:
    """What should not have come of code that did not change; "" where nothing did."""
    codes = Counter(run.exit_code for run in runs)
    undecided, allowed = codes.pop(ExitCode.INCONCLUSIVE, 0), max(1, len(runs) // 20)
    del codes[ExitCode.OK]
    faults = [f"{count} ended with {int(code)}" for code, count in sorted(codes.items())]
    return ", ".join(faults + [f"{undecided} ended with 4, at most {allowed} may"] * (undecided > allowed))


def gate_sentence(kept: Path) -> str:
    """What a file of gate runs proves, for the page of the gate."""
    found = GateRuns.model_validate_json(kept.read_text())
    seconds, visible = [run.seconds for run in found.runs], [share for run in found.runs for share in run.visible]
    usual = Floors().threshold
    blind = [run for run in found.runs if any(share > usual for share in run.visible)]
    return "\n".join(
        (
            f"`{found.command}`, {len(found.runs)} times",
            f"over code that did not change, on {found.fingerprint.cpu} with {found.fingerprint.cores} cores",
            f"([every verdict](../results/gate/{kept.name})):",
            f"{in_words(found.runs)}.",
            f"In all, {tally(found.runs, 'gate runs')}.",
            f"A run took {median(seconds):.0f} s (median; at most {max(seconds):.0f} s) and would have shown a change"
            f" of {percent(median(visible))} (median; at worst {percent(max(visible))}).",
            f"Under the usual threshold of {percent(usual)}, {len(blind)} of them would have been inconclusive.",
        )
    )


def in_words(runs: Sequence[GateRun]) -> str:
    """How many runs ended with what, those beside a busy process apart."""
    parts = []
    for busy, where in ((False, "by themselves"), (True, "beside a process that keeps a core busy")):
        codes = Counter(int(run.exit_code) for run in runs if run.busy is busy)
        if codes:
            ends = ", ".join(f"{count} ended with {code}" for code, count in sorted(codes.items()))
            parts.append(f"of {codes.total()} gate runs {where} {ends}")
    return "; ".join(parts)


@app.command()
def ab(
    out: Annotated[Path, typer.Option(help="Where to write every verdict; results/ab/false-alarms.json is shipped.")],
    runs: Annotated[int, typer.Option(min=1, help="Comparisons in each way.")] = 40,
    way: Annotated[list[Way] | None, typer.Option(help="Repeatable. [both]")] = None,
    scenario: Annotated[str, typer.Option(help="What is fed in.")] = "multi-image",
    trials: Annotated[int, typer.Option(min=4, help="Of each comparison.")] = 5,
    budget: Annotated[float, typer.Option(min=1, help="Seconds of measuring in each comparison.")] = 20,
) -> None:
    """Compare a revision with itself on a CPU, in both ways. About a minute a run.

    The revision is a copy of our implementations: our tower in one process, and the same behind a factory in lock-step.
    """
    check_folder_of(out, f"--out {out}")
    ways = list(dict.fromkeys(way or Way))
    fed = str(Path(scenario).resolve()) if Path(scenario).is_file() else scenario
    options = ["--scenario", fed, "--device", "cpu", "--trials", str(trials), "--budget", str(budget)]
    command = " ".join(["vlbench ab REVISION REVISION --tower TOWER --seed RUN", *options])
    with scratch_repository() as folder:
        measured = (_compared(folder, each, [*options, "--seed", str(seed)]) for seed in range(runs) for each in ways)
        found = _kept(measured, out, FalseAlarms, device="cpu", command=command)
    for each in ways:
        print(f"{each}: {tally([run for run in found if run.way is each], PAIRS)}")


@contextmanager
def scratch_repository() -> Iterator[Path]:
    """A repository whose one commit holds our implementations, and a factory beside them."""
    with tempfile.TemporaryDirectory(prefix="vlbench-ab-") as name:
        folder, source = Path(name), Path(vlbench.implementations.__file__).parent
        copytree(source, folder / "implementations", ignore=ignore_patterns("__pycache__"))
        (folder / "factory.py").write_text(FACTORY)
        author = ("-c", "user.name=vlbench", "-c", "user.email=vlbench@localhost")
        git = ["git", *author, "-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"]
        for arguments in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "one")):
            subprocess.run([*git, *arguments], cwd=folder, check=True)
        yield folder


def _compared(folder: Path, way: Way, options: list[str]) -> Run:
    """One comparison of the scratch repository with itself."""
    print(way, end=", ", flush=True)
    command = [*VLBENCH, "ab", "HEAD", "HEAD", "--tower", TOWERS[way], "--json", *options]
    return Run.model_validate({"way": way, **said_by(_judged_by(command, folder, portable_environment()))})


def said_by(judged: Judged) -> dict[str, object]:
    """The fields of an `IdenticalRun`."""
    return {
        "verdicts": tuple(row.verdict for row in judged.rows),
        "ratios": tuple(row.ratio for row in judged.rows if row.measure == "time" and row.ratio is not None),
        "visible": tuple(row.visible for row in judged.rows if row.visible is not None),
        "seconds": judged.seconds,
    }


def _judged_by(command: Sequence[str], folder: Path | None = None, env: Mapping[str, str] | None = None) -> Judged:
    """What a command with `--json` found. Raises RuntimeError where it does not end with a verdict."""
    done = subprocess.run(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True)
    if not done.stdout:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode} and no report")
    whole = json.loads(done.stdout)
    return record_of(Judged, {name: whole[name] for name in Judged.model_fields})


def _kept(
    measured: Iterable[Identical],
    out: Path,
    kind: type[Evidence],
    before: Sequence[Identical] = (),
    runs: int | None = None,
    **fields: str,
) -> list[Identical]:
    """All that was measured after what was `before`, written to `out` after each run: the next may be interrupted."""
    fingerprint, found = take_fingerprint("cpu"), list(before)
    for run in measured:
        found.append(run)
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in Counter(run.verdicts).items())
        print(f"run {len(found)}: {verdicts}, after {run.seconds:.1f} s{_still(found, runs)}", flush=True)
        evidence = {"created": datetime.now(UTC), "fingerprint": fingerprint, "runs": tuple(found), **fields}
        out.write_text(kind.model_validate(evidence).model_dump_json(indent=1) + "\n")
    return found


def _still(found: Sequence[IdenticalRun], runs: int | None) -> str:
    """How long those to come will take, by those that were."""
    seconds = (runs - len(found)) * mean(run.seconds for run in found) if runs else 0
    return f"; {runs} in all, about {seconds / 60:.0f} minutes more" if seconds else ""


if __name__ == "__main__":
    try:
        app()
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
