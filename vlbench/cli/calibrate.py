"""`vlbench calibrate`: what counted operations are on this machine's GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vlbench.cli.count import MODEL, SCENARIO, points_of
from vlbench.cli.options import AsJson, DtypeName, Grids, find_dtype


def calibrate(
    tower: Annotated[
        list[str] | None, typer.Option(help=f"Towers to learn from, as in `vlbench count`; repeatable. [{MODEL}]")
    ] = None,
    variant: Annotated[
        list[str] | None, typer.Option("--with", help="A variant of our model; repeatable. [every preset]")
    ] = None,
    scenario: Annotated[
        str | None, typer.Option(help=f"A shipped scenario or a .toml file, at its full size. [{SCENARIO}]")
    ] = None,
    grid: Grids = None,
    dtype: DtypeName = "bfloat16",
    out: Annotated[Path, typer.Option(help="Folder for the calibration.")] = Path("results/calibration"),
    as_json: AsJson = False,
) -> None:
    """Profile towers on this machine's GPU, count the same towers, and learn how many kernels an operation is.

    Needs a GPU. Ends with 6 where syncs or copies were counted otherwise than the GPU has them.
    """
    from rich.console import Console

    from vlbench.counting.calibrate import calibrate as learn_from_gpu
    from vlbench.counting.calibrate import write_calibration
    from vlbench.counting.job import CountJob
    from vlbench.export.calibrated import calibrated_view

    job = CountJob(
        towers=tuple(dict.fromkeys(tower or [MODEL])),
        variants=tuple(variant) if variant else None,
        points=tuple(points_of(scenario, grid)),
        profile="",  # that of the GPU
        dtype=find_dtype(dtype),
    )
    found = learn_from_gpu(job)
    path = write_calibration(found, out)
    if as_json:
        print(found.model_dump_json(indent=1))
    else:
        console = Console(highlight=False)
        console.print(calibrated_view(found))
        console.print(f"Calibration in {path}", style="dim")
    if not all(each.exact for each in found.checks):
        raise typer.Exit(6)
