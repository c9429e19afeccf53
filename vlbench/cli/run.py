"""`vlbench run`: every variant on a scenario, checked, then timed against the yardstick in shared rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from vlbench.cli.measuring import INTERRUPTED, keep, measure
from vlbench.cli.options import (
    DeviceOption,
    Seed,
    Target,
    Threads,
    Variants,
    Weights,
    complete_models,
    resolve,
)
from vlbench.cli.planning import left_out, make_plans, read_earlier, states_of, taken_apart
from vlbench.cli.reporting import reports
from vlbench.cli.seams import refuse_beside_seams, seam_names, seam_plans
from vlbench.cli.towers import TowerTarget, refuse_together, resolve_towers
from vlbench.errors import UsageError
from vlbench.export.sheet import Part, Sheet, Words, beside


def _scenarios(incomplete: str) -> list[str]:
    from vlbench.workload import scenario_names

    return [name for name in scenario_names() if name.startswith(incomplete)]


@reports()
def run(
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            autocompletion=_scenarios,
            help="A shipped scenario (`vlbench list scenarios`) or a .toml file; repeatable. [multi-image]",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            autocompletion=complete_models, help="See `vlbench list models`; repeatable. [tiny on a CPU, 7B on CUDA]"
        ),
    ] = None,
    seam: Annotated[
        list[str] | None,
        typer.Option(
            autocompletion=seam_names,
            help="In place of a scenario: all ways of one seam alone, by size (`vlbench list seams`); repeatable.",
        ),
    ] = None,
    variant: Variants = None,
    tower: Annotated[
        list[str] | None,
        typer.Option(
            help="Any tower, package.module:factory (your code, which is run), qwen2.5-vl-7b+FLAG or "
            "hf:qwen2.5-vl-7b; repeatable, each is a row "
            "against the first."
        ),
    ] = None,
    exactness: Annotated[
        str | None, typer.Option(help="With --tower, what the others claim: bit-exact, ulp or reassociated. [the last]")
    ] = None,
    ablate: Annotated[
        str | None,
        typer.Option(help="Take the one variant apart: add-one, leave-one-out, cumulative or pairs. [of `best`]"),
    ] = None,
    images: Annotated[
        list[Path] | None, typer.Option(help="Your own pictures in place of the shipped photos: --images A B C.")
    ] = None,
    weights: Weights = None,
    device: DeviceOption = "auto",
    dtype: Annotated[
        list[str] | None,
        typer.Option(help="float32, bfloat16 or float16; repeatable. [float32 on a CPU, bfloat16 on CUDA]"),
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(help="Caches warm, cold or churn, or behind queued work on CUDA; repeatable. [warm]"),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--filter", help="Cells to keep: variant=rope-*, point=count=4; repeatable.")
    ] = None,
    seed: Seed = 0,
    threads: Threads = 1,
    trials: Annotated[int, typer.Option(min=1, help="Processes: 1 is a quick look, 5 give a verdict.")] = 1,
    budget: Annotated[float, typer.Option(min=1, help="Seconds of measuring, for the whole run.")] = 60,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds after which one trial is ended.")] = 900,
    resume: Annotated[bool, typer.Option(help="Go on with the run that was interrupted.")] = False,
    out: Annotated[Path | None, typer.Option(help="Results file. [vlbench-SCENARIO.json]")] = None,
    against: Annotated[
        Path | None, typer.Option(help="An earlier results file, and what `vlbench diff` says of the two.")
    ] = None,
    card: Annotated[bool, typer.Option(help="Measure the machine itself, too (2 s).")] = True,
) -> Sheet:
    """Time variants of a vision tower against the frozen yardstick, accuracy first.

    Exit code 5 when a variant is inaccurate, 6 when one could not be measured.
    """
    from vlbench.comparing import compare
    from vlbench.comparing.sides import side_of
    from vlbench.export.results import results_sheet
    from vlbench.record.fingerprint import take_fingerprint
    from vlbench.towers.models import WHY_TINY
    from vlbench.trial.card import measured_card

    dtypes: list[str | None] = list(dtype) if dtype else [None]
    targets: Sequence[Target | TowerTarget]
    if exactness and not tower:
        raise UsageError("--exactness is what the towers of --tower claim; leave it out, since each flag has its own")
    if seam:
        refuse_beside_seams(
            scenario=scenario, model=model, variant=variant, tower=tower, ablate=ablate, images=images, weights=weights
        )
        names = ["seam", *seam]
        targets, plans = seam_plans(seam, device, dtypes, state, only or [], seed, threads)
    else:
        names = scenario or ["multi-image"]
        models: list[str | None] = list(model) if model else [None]
        if tower:
            refuse_together(model=model, variant=variant, ablate=ablate)
            targets = resolve_towers(tower, device, dtypes, exactness)
        else:
            found = [resolve(one, device, other, variant) for one in models for other in dtypes]
            targets = [taken_apart(target, ablate) for target in found] if ablate else found
        states = states_of(state, targets[0].device)
        plans = make_plans(names, targets, states, only or [], seed, threads, weights, images)
    earlier = None
    if against:
        read_earlier(against, plans)
        earlier = side_of(against)  # now, for this run may be kept in the same file
    goal = out or Path(f"vlbench-{'-'.join(Path(name).stem for name in names)}.json")
    if goal.is_dir():
        raise UsageError(f"--out {goal}: a folder; give a file, such as {goal / 'results.json'}")
    if not goal.parent.is_dir():
        raise UsageError(f"--out {goal}: the folder {goal.parent} does not exist; make it or choose another")

    fingerprint = take_fingerprint(targets[0].device)
    tiny = targets[0].default_model and targets[0].device == "cpu"
    machine = measured_card(targets[0].device) if card else None
    session, complete = measure(plans, trials, budget, timeout, goal, resume, fingerprint)
    results = keep(session, goal, fingerprint, machine, complete)
    aside = [
        f"Not applicable here and left out of {who}: {', '.join(flags)}."
        for target in targets
        for who, flags in left_out(target).items()
    ]
    parts: list[Part] = [Words(line, "dim") for line in aside]
    if earlier:
        parts += beside(compare(earlier, goal))
    parts.append(Words(f"Results in {goal}; in Python: vlbench.load({str(goal)!r})", "dim"))
    sheet = results_sheet(results, before=[Words(WHY_TINY, "dim")] if tiny else [], after=parts)
    if complete:
        return sheet
    last = f"interrupted: {goal} holds what is done; --resume goes on from there"
    return replace(sheet, exit_code=INTERRUPTED, last=last)
