"""`vlbench gate init`: a baseline, a test and a workflow for somebody's repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vlbench.cli.baseline import By, Scenarios, counted_points, facts_of, print_json
from vlbench.cli.options import AsJson, DtypeName, Gpu, Grids


def init(
    tower: Annotated[
        str, typer.Argument(help="package.module:factory, imported from the current folder: its code is run.")
    ],
    scenario: Scenarios = None,
    grid: Grids = None,
    gpu: Gpu = None,
    dtype: DtypeName = "bfloat16",
    reason: Annotated[str, typer.Option(help="Why these figures are right; kept in the file.")] = "The first baseline.",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Put the repository in the current folder under the gate: a baseline of TOWER, a test, and a workflow."""
    from rich.console import Console

    from vlbench.api.defaults import defaults
    from vlbench.export.words import cells
    from vlbench.gating.author import acceptance
    from vlbench.gating.init import places_for, write_test, write_workflow
    from vlbench.gating.save import count_all, refuse_goal, save, wanted_cells
    from vlbench.record.fingerprint import take_fingerprint
    from vlbench.towers.models import find_dtype

    root, places = Path(), places_for(tower)
    places.refuse_existing(root)
    refuse_goal(places.baseline, force=False)
    wanted = wanted_cells((tower,), None, counted_points(scenario, grid), gpu or defaults().gpu, find_dtype(dtype))
    here = take_fingerprint("cpu")
    entry = acceptance("saved", reason, here.torch, by=by)
    with Console(stderr=True).status(f"counting {cells(len(wanted))}"):
        counted = count_all(wanted)
    made = save(places.baseline, here, entry, counted=counted)
    write_test(root, places)
    write_workflow(root, places, here.torch)
    if as_json:
        print_json({**facts_of(places.baseline, made), "test": str(places.test), "workflow": str(places.workflow)})
        return
    print(f"{places.baseline}: {cells(len(made.cells))}, saved by {entry.by}")
    print(f"{places.test}: the same as a test, for pytest")
    print(f"{places.workflow}: the same for every pull request; look at what it installs, and commit all three")
