"""How often `vlbench ab` calls identical revisions different: `python -m vlbench.selftest.ab_false_alarms`.

A repository with one commit, a copy of our implementations, is compared with itself through the real command, in both
ways: our tower in one process, and the same tower behind a factory in lock-step.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Annotated

import typer

import vlbench.implementations
from vlbench.judging.identical import tally
from vlbench.process.child import portable_environment
from vlbench.record.fingerprint import take_fingerprint
from vlbench.revisions.evidence import PAIRS, FalseAlarms, Run
from vlbench.revisions.request import Way
from vlbench.selftest.repeat import check_folder_of, judged_by, run_script

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


def measure(
    out: Annotated[Path, typer.Option(help="Where to write every verdict; results/ab/false-alarms.json is shipped.")],
    runs: Annotated[int, typer.Option(min=1, help="Comparisons in each way.")] = 40,
    way: Annotated[list[Way] | None, typer.Option(help="Repeatable. [both]")] = None,
    scenario: Annotated[str, typer.Option(help="What is fed in.")] = "multi-image",
    trials: Annotated[int, typer.Option(min=4, help="Of each comparison.")] = 5,
    budget: Annotated[float, typer.Option(min=1, help="Seconds of measuring in each comparison.")] = 20,
) -> None:
    """Compare a revision with itself on a CPU, and write down what was called. About a minute a run; measure alone."""
    check_folder_of(out)
    ways = list(dict.fromkeys(way or Way))
    fed = str(Path(scenario).resolve()) if Path(scenario).is_file() else scenario
    options = ["--scenario", fed, "--device", "cpu", "--trials", str(trials), "--budget", str(budget)]
    fingerprint, found = take_fingerprint("cpu"), list[Run]()
    with scratch_repository() as folder:
        for number in range(runs):
            for each in ways:
                found.append(_run(folder, each, [*options, "--seed", str(number)]))
                written = FalseAlarms(
                    created=datetime.now(UTC),
                    fingerprint=fingerprint,
                    device="cpu",
                    command=" ".join(["vlbench ab REVISION REVISION --tower TOWER --seed RUN", *options]),
                    runs=tuple(found),
                )
                out.write_text(written.model_dump_json(indent=1) + "\n")  # each time: it may be interrupted
                print(f"{each}, run {number + 1}: {', '.join(found[-1].verdicts)}", flush=True)
    for each in ways:
        print(f"{each}: {tally([run for run in found if run.way is each], PAIRS)}")


@contextmanager
def scratch_repository() -> Iterator[Path]:
    """A repository whose one commit holds our implementations, and a factory beside them."""
    with tempfile.TemporaryDirectory(prefix="vlbench-ab-") as name:
        folder, source = Path(name), Path(vlbench.implementations.__file__).parent
        copytree(source, folder / "implementations", ignore=ignore_patterns("__pycache__"))
        (folder / "factory.py").write_text(FACTORY)
        settings = (
            "user.name=vlbench",
            "user.email=vlbench@localhost",
            "commit.gpgsign=false",
            "core.hooksPath=/dev/null",
        )
        own = [part for setting in settings for part in ("-c", setting)]
        for arguments in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "one")):
            subprocess.run(["git", *own, *arguments], cwd=folder, check=True)
        yield folder


def _run(folder: Path, way: Way, options: list[str]) -> Run:
    """One comparison by the real command."""
    command = [sys.executable, "-P", "-m", "vlbench", "ab", "HEAD", "HEAD", "--tower", TOWERS[way], "--json", *options]
    return Run.of(judged_by(command, folder, portable_environment()), way=way)


if __name__ == "__main__":
    run_script(measure)
