"""`vlbench verify`: is every flag right, alone and in presets, over a set of grids?"""

import json

from vlbench.cli.options import Classes, ModelOptions, Timeout, Towers, Variants
from vlbench.cli.reporting import reports
from vlbench.export.sheet import Sheet


class Options(ModelOptions):
    """The options of `vlbench verify`; those of `vlbench.verify` have the same names."""

    variant: Variants = None
    tower: Towers = None
    """Any towers, package.module:factory (your code, which is run), qwen2.5-vl-7b+FLAG or hf:qwen2.5-vl-7b, against the
    first; repeatable."""
    exactness: Classes = None
    """With --tower, what the others claim: bit-exact, ulp or reassociated. [the last]"""
    timeout: Timeout = 900
    quiet: bool = False
    """Print failures only."""


@reports()
def verify(options: Options) -> Sheet:
    """Check the accuracy of every flag and preset over a set of awkward grids, without timing.

    Exit code 5 when one failed.

    - `vlbench verify --with best --quiet`
    - `vlbench verify --tower hf:qwen2.5-vl-7b --tower my_tower:make`
    """
    from vlbench.api.running import verify
    from vlbench.export.results import verified_sheet

    arguments = vars(options).copy()
    quiet = arguments.pop("quiet")
    found = verify(**arguments)
    group = found.record
    return verified_sheet(
        group,
        found.batches,
        failures_only=quiet,
        json=lambda: json.dumps([each.model_dump(mode="json") for each in group.trials[0].variants], indent=1),
    )
