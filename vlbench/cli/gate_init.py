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
    from vlbench.gating.acceptance import acceptance
    from vlbench.gating.init import TEST, WORKFLOW, baseline_for, refuse_existing, write_test, write_workflow
    from vlbench.gating.save import count_all, count_requests, refuse_goal, save
    from vlbench.judging.words import cells
    from vlbench.record.fingerprint import take_fingerprint
    from vlbench.towers.models import find_dtype

    root, baseline = Path(), baseline_for(tower)
    refuse_existing(root, baseline)
    refuse_goal(baseline, force=False)
    wanted = count_requests((tower,), None, counted_points(scenario, grid), gpu or defaults().gpu, find_dtype(dtype))
    here = take_fingerprint("cpu")
    entry = acceptance("saved", reason, here.torch, by=by)
    with Console(stderr=True).status(f"counting {cells(len(wanted))}"):
        counted = count_all(wanted)
    made = save(baseline, here, entry, counted=counted)
    write_test(root, baseline)
    write_workflow(root, baseline, here.torch)
    if as_json:
        print_json({**facts_of(baseline, made), "test": str(TEST), "workflow": str(WORKFLOW)})
        return
    print(f"{baseline}: {cells(len(made.cells))}, saved by {entry.by}")
    print(f"{TEST}: the same as a test, for pytest")
    print(f"{WORKFLOW}: the same for every pull request; look at what it installs, and commit all three")
