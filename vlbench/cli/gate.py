"""`vlbench gate`: everything that the stored baselines hold, measured again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vlbench.cli.gate_init import init
from vlbench.cli.reporting import AllowInconclusive, reports
from vlbench.export.sheet import Sheet, compared
from vlbench.gating import Times

app = typer.Typer(invoke_without_command=True)
app.command()(init)


@app.callback()
@reports()
def gate(
    context: typer.Context,
    baseline: Annotated[
        list[Path] | None, typer.Option(help="A baseline file; repeatable. [every one in results/baselines]")
    ] = None,
    capture: Annotated[
        list[Path] | None, typer.Option(help="A new capture, for the stored one of the same name; repeatable.")
    ] = None,
    times: Annotated[
        Times,
        typer.Option(
            help="Stored times: auto judges them on the class of machine that they are from, require fails on another, "
            "advisory only shows them, never leaves them out."
        ),
    ] = Times.AUTO,
    allow_inconclusive: AllowInconclusive = False,
    out: Annotated[
        Path | None, typer.Option(help="Where to write the new file, if figures moved. [beside it, .proposed.json]")
    ] = None,
) -> Sheet | None:
    """Measure again what the baselines hold, and fail where anything got worse.

    Ends with 0 where all is the same or better, 3 where something got worse, 4 where a row could not have shown it, 5
    where a result is wrong, 6 where something is missing or does not compare, 2 for a wrong command.
    """
    from vlbench.api.verdicts import gate

    if context.invoked_subcommand is not None:
        return None
    found = gate(baseline, capture=capture, times=times, allow_inconclusive=allow_inconclusive, out=out)
    return compared(found.record)
