"""`vlbench gate init`: puts somebody's repository under the gate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vlbench.cli.options import find_dtype


def init(
    tower: Annotated[str, typer.Argument(help="package.module:factory, as it is imported in this folder.")],
    scenario: Annotated[
        list[str] | None,
        typer.Option(help="A shipped scenario or a .toml file, at its full size; repeatable. [single-image]"),
    ] = None,
    profile: Annotated[str, typer.Option("--as", help="The GPU to answer for: sm_75, 80, 86, 89, 90, 100.")] = "sm_90",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "bfloat16",
    reason: Annotated[str, typer.Option(help="Why these figures are right; kept in the file.")] = "first counts",
    by: Annotated[str | None, typer.Option(help="Who says so. [git's user.name]")] = None,
) -> None:
    """Write a baseline of TOWER, a test and a GitHub workflow into the repository of the current folder."""
    from rich.console import Console

    from vlbench.cli.count import SCENARIO
    from vlbench.gate.init import places_for, write_test, write_workflow
    from vlbench.gate.points import points_of
    from vlbench.gate.save import count_all, save, wanted_cells
    from vlbench.gate.who import acceptance
    from vlbench.record.fingerprint import take_fingerprint

    root = Path.cwd()
    places = places_for(tower)
    places.refuse_existing(root)
    points = [point for name in dict.fromkeys(scenario or [SCENARIO]) for point in points_of(name)]
    wanted = wanted_cells([tower], None, points, profile, find_dtype(dtype))
    here = take_fingerprint("cpu")
    entry = acceptance("saved", reason, here.torch, by=by)
    with Console(stderr=True).status(f"counting {len(wanted)} cells"):
        counted = count_all(wanted)
    save(places.baseline, counted, (), here, entry)
    write_test(root, places)
    write_workflow(root, places, here.torch)
    print(f"{places.baseline}: what {tower} asks of a GPU today, {len(counted)} cells")
    print(f"{places.test}: pytest fails where a change adds to it")
    print(f"{places.workflow}: GitHub runs the gate on every pull request")
    print("Commit the three. From now on `vlbench gate` ends with 3 where something got worse, and names the line.")
