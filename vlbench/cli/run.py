"""`vlbench run`: every variant on a scenario, checked, then timed against the yardstick in shared rounds."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlbench.cli.options import AsJson, DeviceOption, DtypeOption, Model, Seed, Threads, Variants, Weights, resolve
from vlbench.errors import UsageError

if TYPE_CHECKING:
    from vlbench.cli.options import Target
    from vlbench.record.schema import CellGroup, Results
    from vlbench.trial.session import Plan
    from vlbench.workload import ScenarioPoint

INACCURATE = 5


def _scenarios(incomplete: str) -> list[str]:
    from vlbench.workload import scenario_names

    return [name for name in scenario_names() if name.startswith(incomplete)]


def run(
    scenario: Annotated[
        str,
        typer.Option(autocompletion=_scenarios, help="A shipped scenario (`vlbench list scenarios`) or a .toml file."),
    ] = "multi-image",
    model: Model = None,
    variant: Variants = None,
    images: Annotated[
        list[Path] | None, typer.Option(help="Your own pictures in place of the shipped photos: --images A B C.")
    ] = None,
    more_images: Annotated[list[Path] | None, typer.Argument(metavar="[PICTURE]...", show_default=False)] = None,
    weights: Weights = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = None,
    seed: Seed = 0,
    threads: Threads = 1,
    budget: Annotated[float, typer.Option(min=1, help="Seconds of measuring, for the whole run.")] = 60,
    out: Annotated[Path | None, typer.Option(help="Results file. [vlbench-SCENARIO.json]")] = None,
    against: Annotated[Path | None, typer.Option(help="An earlier results file to compare with.")] = None,
    as_json: AsJson = False,
) -> None:
    """Time variants of a vision tower against the frozen yardstick, accuracy first.

    Exit code 5 when a variant failed its accuracy check.
    """
    from rich.console import Console

    from vlbench.export.against import against_view
    from vlbench.export.console import group_view
    from vlbench.matrix.models import WHY_TINY
    from vlbench.record.files import write_results
    from vlbench.record.fingerprint import take_fingerprint
    from vlbench.record.schema import Results
    from vlbench.workload import load_scenario

    if more_images and not images:
        raise UsageError(f"{more_images[0]}: what is it? pictures come after --images")
    pictures = (*(images or ()), *(more_images or ())) or None
    target = resolve(model, device, dtype, variant)
    points = load_scenario(scenario).points(target.device)
    plans = [_plan(target, point, budget / len(points), seed, threads, weights, pictures) for point in points]
    earlier = _earlier(against, plans) if against else None
    goal = out or Path(f"vlbench-{Path(scenario).stem}.json")
    if not goal.parent.is_dir():
        raise UsageError(f"--out {goal}: the folder {goal.parent} does not exist; make it or choose another")

    show = Console(quiet=as_json, highlight=False)
    fingerprint = take_fingerprint(target.device)
    show.print(fingerprint.line, style="dim")
    if target.default_model and target.device == "cpu":
        show.print(WHY_TINY, style="dim")
    groups = []
    for plan in plans:
        groups.append(_measure(plan))
        show.print()
        show.print(group_view(groups[-1]))
    command = " ".join(["vlbench", *sys.argv[1:]])
    results = Results(created=datetime.now(UTC), command=command, fingerprint=fingerprint, groups=tuple(groups))
    write_results(results, goal)
    if target.left_out:
        show.print(f"Not applicable here: {', '.join(target.left_out)}.", style="dim")
    if earlier:
        show.print()
        show.print(against_view(earlier, results))
    show.print(f"Results in {goal}; in Python: vlbench.load({str(goal)!r})", style="dim")
    if as_json:
        print(results.model_dump_json(indent=1))
    if any(row.accuracy is None or not row.accuracy.passed for group in groups for row in group.variants):
        raise typer.Exit(INACCURATE)


def _plan(
    target: Target,
    point: ScenarioPoint,
    seconds: float,
    seed: int,
    threads: int,
    weights: Path | None,
    images: tuple[Path, ...] | None,
) -> Plan:
    from vlbench.trial.session import Plan

    return Plan(
        point,
        target.config.name,
        target.dtype,
        target.device,
        target.variants,
        seconds,
        seed=seed,
        threads=threads,
        weights=weights,
        images=images,
    )


def _earlier(path: Path, plans: list[Plan]) -> Results:
    """The earlier results; UsageError when they have nothing in common with what is planned."""
    from vlbench.record.files import read_results

    earlier = read_results(path)
    planned = {(plan.point.scenario, plan.point.label, plan.model, plan.dtype, plan.device) for plan in plans}
    if not planned & {group.key for group in earlier.groups}:
        had = "; ".join(" ".join(filter(None, group.key)) for group in earlier.groups)
        raise UsageError(f"--against {path}: it holds other measurements ({had}); choose the same scenario and model")
    return earlier


def _measure(plan: Plan) -> CellGroup:
    from rich.console import Console

    from vlbench.export.progress import Watcher
    from vlbench.trial.session import measure
    from vlbench.trial.supervisor import TrialError

    try:
        with Watcher(Console(stderr=True)) as watcher:
            return measure(plan, watcher)
    except TrialError as death:
        raise UsageError(f"{plan.point.scenario}: {death}; try a smaller --model or scenario") from None
