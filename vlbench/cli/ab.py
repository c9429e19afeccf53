"""`vlbench ab`: two revisions of a repository side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlbench.cli.options import DeviceOption, DtypeOption, Gpu, Seed, Threads
from vlbench.cli.reporting import AllowInconclusive, reports
from vlbench.errors import UsageError
from vlbench.export.sheet import Sheet, compared

if TYPE_CHECKING:
    from vlbench.revisions.compare import Compared
    from vlbench.revisions.request import Asked

SCENARIO = "multi-image"
COUNTED = "bfloat16"


@reports()
def ab(
    base: Annotated[str, typer.Argument(help="What to compare with: a commit, branch or tag, such as origin/main.")],
    head: Annotated[str, typer.Argument(help="What to judge: a revision, or . for the working tree as it is.")],
    tower: Annotated[
        list[str] | None,
        typer.Option(
            help="A tower of the repository: package.module:factory (your code, which is run) or, in "
            "vlbench's own, qwen2.5-vl-7b+FLAG; "
            "repeatable. [our default model with `best`]"
        ),
    ] = None,
    scenario: Annotated[
        list[str] | None, typer.Option(help=f"A shipped scenario or a .toml file; repeatable. [{SCENARIO}]")
    ] = None,
    exactness: Annotated[
        str | None,
        typer.Option(help="What HEAD of a factory has to keep to: bit-exact, ulp or reassociated. [the last]"),
    ] = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = None,
    counters: Annotated[bool, typer.Option(help="Count what each asks of a GPU, too.")] = True,
    gpu: Gpu = None,
    seed: Seed = 0,
    threads: Threads = 1,
    trials: Annotated[int, typer.Option(min=1, help="Processes, or pairs of them: 5 give a verdict.")] = 5,
    budget: Annotated[
        float, typer.Option(min=1, help="Seconds of measuring, half of it to confirm what is called.")
    ] = 60,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds after which one trial is ended.")] = 900,
    allow_inconclusive: AllowInconclusive = False,
    out: Annotated[Path | None, typer.Option(help="Write every sample into this results file.")] = None,
) -> Sheet:
    """Compare two revisions of the repository here: result first, then time in shared rounds, and exact counters.

    vlbench's own towers are loaded into one process under two names; any other package gets a process per revision, in
    lock-step. Ends with 0 where HEAD is the same or better, 3 where it is worse, 4 where a row could not have shown it,
    5 where its result is wrong, 6 where something could not be measured, 2 for a wrong command.
    """
    from rich.console import Console

    from vlbench.export.progress import Watcher
    from vlbench.revisions.compare import compare

    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        raise UsageError(f"--out {out}: give a file in a folder that exists")
    asked = _asked(tower, scenario, exactness, device, dtype, counters, gpu, seed, threads, trials, budget, timeout)
    console = Console(stderr=True)
    with Watcher(console) as watcher:
        found = compare(base, head, asked, watcher, watcher.say, allow_inconclusive=allow_inconclusive)
    if out is not None:
        _keep(found, out, asked)
    return compared(found.judged)


def _asked(
    tower: list[str] | None,
    scenario: list[str] | None,
    exactness: str | None,
    device: str,
    dtype: str | None,
    counters: bool,
    gpu: str | None,
    seed: int,
    threads: int,
    trials: int,
    budget: float,
    timeout: float,
) -> Asked:
    from vlbench.api.defaults import defaults
    from vlbench.matrix.targets import find_exactness
    from vlbench.revisions.request import Asked, Way, way_of
    from vlbench.towers.models import DEFAULTS, find_device, find_dtype

    kind = find_device(device)
    model, usual = DEFAULTS[kind]
    usually = defaults()
    towers = tuple(dict.fromkeys(tower or [usually.tower or f"{model}+best"]))
    stated = find_exactness(exactness)
    if exactness is not None and all(way_of(each) is Way.ONE_PROCESS for each in towers):
        raise UsageError("--exactness is for a factory; leave it out, since each of our flags claims a class itself")
    return Asked(
        towers=towers,
        scenarios=tuple(dict.fromkeys(scenario or [usually.scenario or SCENARIO])),
        device=kind,
        dtype=find_dtype(dtype or usual),
        counted_dtype=find_dtype(dtype or COUNTED),
        counters=counters,
        profile=gpu or usually.gpu,
        exactness=stated,
        seed=seed,
        threads=threads,
        trials=trials,
        budget=budget,
        timeout=timeout,
    )


def _keep(compared: Compared, out: Path, asked: Asked) -> None:
    from datetime import UTC, datetime

    from vlbench.record.files import write_results
    from vlbench.record.fingerprint import take_fingerprint
    from vlbench.record.schema import Results

    results = Results(
        created=datetime.now(UTC),
        command=" ".join(["vlbench", *sys.argv[1:]]),
        fingerprint=take_fingerprint(asked.device),
        groups=compared.groups,
    )
    write_results(results, out)
