"""`vlbench gate`: everything that the stored baselines hold, measured again.

`vlbench gate init`: a baseline, a test and a workflow for somebody's repository.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vlbench.cli.baseline import By, SaveOptions, Scenarios, as_json_text, facts_of, in_short, saved
from vlbench.cli.options import AsJson, DtypeName, Gpu, Grids
from vlbench.cli.reporting import AllowInconclusive, reports
from vlbench.export.sheet import Sheet, compared
from vlbench.gating import Times

app = typer.Typer(invoke_without_command=True)


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


@app.command()
def init(
    tower: Annotated[
        str, typer.Argument(help="package.module:factory, imported from the current folder: its code is run.")
    ],
    scenario: Scenarios = None,
    grid: Grids = None,
    gpu: Gpu = None,
    dtype: DtypeName = "bfloat16",
    reason: Annotated[str, typer.Option(help="Why these figures are right; kept in the file.")] = "The first baseline.",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Put the repository in the current folder under the gate: a baseline of TOWER, a test, and a workflow."""
    from vlbench.api.defaults import defaults
    from vlbench.gating.init import TEST, WORKFLOW, baseline_for, refuse_existing, write_test, write_workflow

    root, file = Path(), baseline_for(tower, Path(defaults().baselines))
    refuse_existing(root, file)
    made = saved(SaveOptions(file, reason, [tower], scenario=scenario, grid=grid, gpu=gpu, dtype=dtype, by=by))
    write_test(root, file)
    write_workflow(root, file, made.fingerprint.torch)
    if as_json:
        print(as_json_text({**facts_of(file, made), "test": str(TEST), "workflow": str(WORKFLOW)}))
        return
    print(in_short(file, made))
    print(f"{TEST}: the same as a test, for pytest")
    print(f"{WORKFLOW}: the same for every pull request; look at what it installs, and commit all three")
