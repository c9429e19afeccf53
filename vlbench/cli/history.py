"""`vlbench history`: stored figures over revisions or files, and where they changed."""

from pathlib import Path
from typing import Annotated

import typer

from vlbench.cli.completion import files
from vlbench.cli.options import CommandOptions
from vlbench.cli.reporting import reports
from vlbench.export.sheet import Sheet


class HistoryOptions(CommandOptions):
    """The options of `vlbench history`."""

    stored: Annotated[list[Path] | None, typer.Argument(metavar="FILES...", autocompletion=files(".json"))] = None
    """Results, baselines, counts, or what `vlbench gate --json` printed. Several are versions of one thing, as those in
    a folder are; of one its past in git is shown. [all of results/baselines]"""
    git: Annotated[str | None, typer.Option(metavar="FIRST..LAST")] = None
    """Each file at the revisions between these that changed it."""
    every: Annotated[bool, typer.Option("--all")] = False
    """Figures that never changed, too."""


@reports(judges=False)
def history(options: HistoryOptions) -> Sheet:
    """Show how stored figures went over revisions, and where they changed: each step of a count, each level of times.

    - `vlbench history`
    - `vlbench history results/baselines/vision.json --git v1.0..HEAD`
    - `vlbench history monday.json tuesday.json`
    """
    from vlbench.api.history import history
    from vlbench.export.history import history_sheet

    return history_sheet(history(options.stored, git=options.git).record, every=options.every)
