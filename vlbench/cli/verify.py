"""`vlbench verify`: is every flag right, alone and in presets, over a set of grids?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from vlbench.cli.options import DeviceOption, DtypeOption, Model, Seed, Threads, Variants, Weights, resolve
from vlbench.cli.reporting import reports
from vlbench.errors import UsageError
from vlbench.export.sheet import Sheet

if TYPE_CHECKING:
    from vlbench.workload import ScenarioPoint

BATCHES: dict[str, tuple[tuple[int, str], ...]] = {
    "smallest": ((1, "2x2"),),
    "one image": ((1, "36x36"),),
    "aligned": ((1, "16x16"), (1, "8x24")),
    "ragged": ((1, "10x6"), (1, "18x14"), (1, "34x46")),
    "strips": ((1, "2x200"), (1, "120x2")),
    "video": ((8, "12x20"),),
    "mixed": ((1, "16x16"), (6, "6x10"), (1, "2x2"), (2, "18x18")),
    "equal images": ((1, "12x12"), (1, "12x12"), (1, "12x12")),
}
"""Frames and patches of the items in each batch that is checked."""


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
    from rich.console import Console

    from vlbench.export.progress import Watcher
    from vlbench.export.results import verified_sheet
    from vlbench.matrix.plan import Plan
    from vlbench.record.journal import Journal
    from vlbench.trial.session import Session

    target = resolve(model, device, dtype, variant)
    points = [batch_point(name) for name in BATCHES]
    plan = Plan(
        points[0],
        target.config.name,
        target.dtype,
        target.device,
        target.variants,
        seed=seed,
        threads=threads,
        weights=weights,
        also_check=tuple(points[1:]),
    )
    with Watcher(Console(stderr=True)) as watcher:
        session = Session([plan], Journal(None, ""), timeout=timeout, watch=watcher)
        session.run(trials=1, seconds=0)
    group = session.groups()[0]
    if not group.trials:
        raise UsageError(f"nothing was checked: {group.lost[0]}; try a smaller --model")
    return verified_sheet(
        group,
        list(BATCHES),
        failures_only=quiet,
        json=lambda: json.dumps([each.model_dump(mode="json") for each in group.trials[0].variants], indent=1),
    )


def batch_point(name: str) -> ScenarioPoint:
    """One of BATCHES as something to feed in: noise, whose every patch differs."""
    from vlbench.workload import ScenarioPoint
    from vlbench.workload.scenario import Item

    items = (Item(kind="video", grid=grid, frames=2 * t) if t > 1 else Item(grid=grid) for t, grid in BATCHES[name])
    return ScenarioPoint(scenario="verify", label=name, source="noise", item=tuple(items))
