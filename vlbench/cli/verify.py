"""`vlbench verify`: is every flag right, alone and in presets, over a set of grids?"""

import json

from vlbench.cli.options import ModelOptions, Timeout, Variants
from vlbench.cli.reporting import reports
from vlbench.export.sheet import Sheet


class Options(ModelOptions):
    """The options of `vlbench verify`; those of `vlbench.verify` have the same names."""

    variant: Variants = None
    timeout: Timeout = 900
    quiet: bool = False
    """Print failures only."""


@reports()
def verify(options: Options) -> Sheet:
    """Check the accuracy of every flag and preset over a set of awkward grids, without timing.

    Exit code 5 when one failed.
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
