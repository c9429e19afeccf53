"""`vlbench verify`: is every flag right, alone and in presets, over a set of grids?"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from vlbench.cli.options import DeviceOption, DtypeOption, Model, Seed, Threads, Variants, Weights
from vlbench.cli.reporting import reports
from vlbench.export.sheet import Sheet


@reports()
def verify(
    model: Model = None,
    variant: Variants = None,
    weights: Weights = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = None,
    seed: Seed = 0,
    threads: Threads = 1,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds after which the check is ended.")] = 900,
    quiet: Annotated[bool, typer.Option(help="Print failures only.")] = False,
) -> Sheet:
    """Check the accuracy of every flag and preset over a set of awkward grids, without timing.

    Exit code 5 when one failed.
    """
    from vlbench.api.running import verify
    from vlbench.export.results import verified_sheet

    found = verify(
        model=model,
        variant=variant,
        weights=weights,
        device=device,
        dtype=dtype,
        seed=seed,
        threads=threads,
        timeout=timeout,
    )
    group = found.record
    return verified_sheet(
        group,
        found.batches,
        failures_only=quiet,
        json=lambda: json.dumps([each.model_dump(mode="json") for each in group.trials[0].variants], indent=1),
    )
