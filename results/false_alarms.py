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
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from shutil import copy, copytree, ignore_patterns
from statistics import median
from typing import Annotated, TypeVar

import typer

import vlbench.implementations
from vlbench.errors import UsageError, check_folder_of
from vlbench.judging.identical import Evidence, IdenticalRun, tally
from vlbench.judging.judged import Judged
from vlbench.process.child import portable_environment
from vlbench.record.baseline_files import find_baselines
from vlbench.record.fingerprint import take_fingerprint
from vlbench.revisions.compare import PAIRS, FalseAlarms, Run
from vlbench.revisions.request import Way

VLBENCH = [sys.executable, "-P", "-m", "vlbench"]
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


@app.command()
def gate(
    out: Annotated[Path, typer.Option(help="Where to write what each run said; results/gate/false-alarms.json here.")],
    baseline: Annotated[list[Path] | None, typer.Option(help="Repeatable. [every one in results/baselines]")] = None,
    runs: Annotated[int, typer.Option(min=1, help="Of the gate, one after the other.")] = 40,
) -> None:
    """Gate code that did not change."""
    check_folder_of(out, f"--out {out}")
    paths = baseline or find_baselines()
    with tempfile.TemporaryDirectory() as folder:  # where a false alarm writes its proposals
        copies = [part for path in paths for part in ("--baseline", copy(path, folder))]
        command = [*VLBENCH, "gate", "--times", "require", "--json", *copies]
        measured = (IdenticalRun.model_validate(said_by(_judged_by(command))) for _ in range(runs))
        shown = f"vlbench gate --times require --baseline {' --baseline '.join(map(str, paths))}"
        found = _kept(measured, out, Evidence, command=shown)
    print(f"{tally(found, 'gate runs')}; the median took {median(run.seconds for run in found):.1f} s")


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
    return Judged.model_validate({name: whole[name] for name in Judged.model_fields})


def _kept(measured: Iterable[Identical], out: Path, kind: type[Evidence], **fields: str) -> list[Identical]:
    """All that was measured, written to `out` after each run, since the next may be interrupted."""
    fingerprint, found = take_fingerprint("cpu"), list[Identical]()
    for run in measured:
        found.append(run)
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in Counter(run.verdicts).items())
        print(f"run {len(found)}: {verdicts}, after {run.seconds:.1f} s", flush=True)
        evidence = {"created": datetime.now(UTC), "fingerprint": fingerprint, "runs": tuple(found), **fields}
        out.write_text(kind.model_validate(evidence).model_dump_json(indent=1) + "\n")
    return found


if __name__ == "__main__":
    try:
        app()
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
