"""`vlbench profile`: where the time of one variant goes, once it passed its accuracy check."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from vlbench.api import arguments as api
from vlbench.cli.completion import named
from vlbench.cli.options import Force, ModelOptions, Scenario, Tower, Variant
from vlbench.cli.reporting import reports
from vlbench.export.sheet import Sheet, Words
from vlbench.judging.exit_codes import ExitCode
from vlbench.record.destinations import check_folder
from vlbench.untrusted.names import terminal


class Options(ModelOptions):
    """The options of `vlbench profile`; those of `vlbench.profile` have the same names."""

    UNREAD = api.UNREAD["profile"]

    tool: Annotated[str, typer.Option(autocompletion=named("tools"))] = "stages"
    """stages: time and counts by stage; pyinstrument: Python's calls; torch: a trace."""
    overhead: bool = False
    """In place of a tool: what marking a stage costs."""
    scenario: Scenario = None
    """A shipped scenario or a .toml file. [multi-image]"""
    point: str | None = None
    """Which point of a sweep, such as count=4."""
    variant: Variant = "best"
    tower: Tower = None
    forwards: Annotated[int, typer.Option(min=1)] = 20
    """Forwards to profile, after warm ones."""
    blocks: bool = False
    """stages: show every block on its own."""
    limit: Annotated[int, typer.Option(min=1)] = 15
    """torch: rows of the longer tables."""
    out: Annotated[Path | None, typer.Option(metavar="FOLDER")] = None
    """Folder for the files of pyinstrument and torch. [vlbench-profile, or -2, -3 ... where that is there]"""
    force: Force = False


@reports(judges=False)
def profile(options: Options) -> Sheet:
    """Say where the time of one variant goes: on the host, by operation, or by stage.

    Exit code 5 when the variant fails its accuracy check; it is not profiled then.

    - `vlbench profile --scenario single-image --variant best`
    - `vlbench profile --tool torch --tower my_tower:make --out trace`
    """
    if options.out:
        check_folder(options.out, f"--out {options.out}")  # before torch is imported
    from vlbench.api.profiles import InaccurateError, profile

    arguments = vars(options).copy()
    limit = arguments.pop("limit")
    try:
        found = profile(**arguments)
    except InaccurateError as error:
        print(f"error: {terminal(str(error))}", file=sys.stderr)
        raise typer.Exit(ExitCode.INACCURATE) from None
    parts = [Words(found.title, "bold"), *found.parts(limit)]
    return Sheet("vlbench profile", parts, own={"json": lambda: json.dumps(found.record, indent=1)})
