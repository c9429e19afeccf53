"""`vlbench calibrate`: what counted operations are on this machine's GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vlbench.cli.count import MODEL, SCENARIO
from vlbench.cli.options import DtypeName, Grids
from vlbench.cli.reporting import reports
from vlbench.export.sheet import Sheet


@reports()
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
) -> Sheet:
    """Profile towers on this machine's GPU, count the same towers, and learn how many kernels an operation is.

    Needs a GPU. Ends with 6 where syncs or copies were counted otherwise than the GPU has them.
    """
    from vlbench.api.counts import count_job
    from vlbench.counting.calibrate import calibrate as learn_from_gpu
    from vlbench.counting.calibrate import write_calibration
    from vlbench.export.counted import calibrated_sheet

    job = count_job(tower, variant or None, scenario, grid or [], "", dtype)  # the profile is that of the GPU
    found = learn_from_gpu(job)
    return calibrated_sheet(found, write_calibration(found, out))
