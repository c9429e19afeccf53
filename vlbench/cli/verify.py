"""`vlbench verify`: is every flag right, alone and in presets, over a set of grids?"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from vlbench.api.arguments import UNREAD
from vlbench.cli.completion import towers
from vlbench.cli.options import Classes, ModelOptions, Timeout, Towers, Variants
from vlbench.cli.reporting import reports
from vlbench.export.sheet import Sheet, Words
from vlbench.record.destinations import check_dump


class Options(ModelOptions):
    """The options of `vlbench verify`; those of `vlbench.verify` have the same names."""

    UNREAD = UNREAD["verify"]

    variant: Variants = None
    tower: Towers = None
    """Any towers, package.module:factory (your code, which is run), qwen2.5-vl-7b+FLAG or hf:qwen2.5-vl-7b, against the
    first; repeatable."""
    exactness: Classes = None
    """With --tower, what the others claim: bit-exact, ulp or reassociated. [the last]"""
    where: Annotated[bool, typer.Option("--where")] = False
    """Find the first stage, block and token at which each parts from the first."""
    against: Annotated[str | None, typer.Option(metavar="TOWER|DIR", autocompletion=towers)] = None
    """With --where, what the --tower is held against: another tower, or the folder of a --dump."""
    dump: Annotated[Path | None, typer.Option(metavar="DIR")] = None
    """Write what the stages of the last tower end with to a new folder, as .safetensors."""
    timeout: Timeout = 900
    quiet: bool = False
    """Print failures only."""


@reports()
def verify(options: Options) -> Sheet:
    """Check the accuracy of every flag and preset over a set of awkward grids, without timing.

    Exit code 5 when one failed.

    - `vlbench verify --with best --quiet`
    - `vlbench verify --tower hf:qwen2.5-vl-7b --tower my_tower:make`
    - `vlbench verify --tower my_tower:make --against hf:qwen2.5-vl-tiny --where`
    """
    if options.dump:
        check_dump(options.dump)  # before torch is imported
    from vlbench.api.diverging import Diverged
    from vlbench.api.running import verify
    from vlbench.export.diverged import diverged_sheet
    from vlbench.export.results import verified_sheet

    arguments = vars(options).copy()
    quiet = arguments.pop("quiet")
    found = verify(**arguments)
    if isinstance(found, Diverged):
        return diverged_sheet(found.record, found.written)
    group = found.record
    sheet = verified_sheet(
        group,
        found.batches,
        failures_only=quiet,
        json=lambda: json.dumps([each.model_dump(mode="json") for each in group.trials[0].variants], indent=1),
    )
    whose = [] if options.tower else [Words(f"flags of vlbench's own {group.model}; --tower verifies yours", "dim")]
    return replace(sheet, parts=[*whose, *sheet.parts, *(Words(note, "yellow") for note in found.notes)])
