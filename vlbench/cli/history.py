"""`vlbench history`: stored figures over revisions or files, and where they changed."""

from pathlib import Path
from typing import Annotated

import typer

from vlbench.cli.completion import files
from vlbench.cli.reporting import reports
from vlbench.export.sheet import Sheet


@reports(judges=False)
def history(
    stored: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILES...",
            help="Results, baselines, counts, or what `vlbench gate --json` printed. Several are versions of one "
            "thing, as those in a folder are; of one its past in git is shown. [all of results/baselines]",
            autocompletion=files(".json"),
        ),
    ] = None,
    git: Annotated[
        str | None,
        typer.Option(
            metavar="FIRST..LAST",
            help="Each file at the revisions between these that changed it.",
            rich_help_panel="What is looked at",
        ),
    ] = None,
    every: Annotated[
        bool,
        typer.Option("--all", help="Figures that never changed, too.", rich_help_panel="What is shown and written"),
    ] = False,
) -> Sheet:
    """Show how stored figures went over revisions, and where they changed: each step of a count, each level of times.

    - `vlbench history`
    - `vlbench history results/baselines/vision.json --git v1.0..HEAD`
    - `vlbench history monday.json tuesday.json`
    """
    from vlbench.api.history import history
    from vlbench.export.history import history_sheet

    return history_sheet(history(stored, git=git).record, every=every)
