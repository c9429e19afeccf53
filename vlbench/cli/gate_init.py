"""`vlbench gate init`: a baseline, a test and a workflow for somebody's repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vlbench.cli.baseline import By, Scenarios, save
from vlbench.cli.options import DtypeName, Grids, Profile


def init(
    tower: Annotated[str, typer.Argument(help="package.module:factory, imported from the current folder.")],
    scenario: Scenarios = None,
    grid: Grids = None,
    profile: Profile = "sm_90",
    dtype: DtypeName = "bfloat16",
    reason: Annotated[str, typer.Option(help="Why these figures are right; kept in the file.")] = "The first baseline.",
    by: By = None,
) -> None:
    """Put the repository in the current folder under the gate: a baseline of TOWER, a test, and a workflow."""
    from importlib.metadata import version

    from vlbench.gate.init import places_for, write_test, write_workflow

    root, places = Path(), places_for(tower)
    places.refuse_existing(root)
    save(places.baseline, reason, tower=[tower], scenario=scenario, grid=grid, profile=profile, dtype=dtype, by=by)
    write_test(root, places)
    write_workflow(root, places, version("torch"))
    print(f"{places.test}: the same as a test, for pytest")
    print(f"{places.workflow}: the same for every pull request; look at what it installs, and commit all three")
