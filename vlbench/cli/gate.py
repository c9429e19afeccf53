"""`vlbench gate`: everything that the stored baselines hold, measured again.

`vlbench gate init`: a baseline, a test and a workflow for somebody's repository.
"""

from os.path import relpath
from pathlib import Path
from typing import Annotated

import typer

from vlbench.cli import options as shared
from vlbench.cli.baseline import SaveOptions, facts_of, in_short, saved, told_sheet
from vlbench.cli.completion import towers
from vlbench.cli.reporting import reports
from vlbench.export.sheet import Sheet, compared
from vlbench.gating import Times

app = typer.Typer(invoke_without_command=True)
WRITTEN = "the same for every pull request; look at what it installs"


class Options(shared.CommandOptions):
    """The options of `vlbench gate`; those of `vlbench.gate` have the same names."""

    baseline: list[Path] | None = None
    """A baseline file; repeatable. [every one in results/baselines]"""
    base: str | None = None
    """A branch or another revision: what must be judged, and by how much it may differ, is what its merge base with
    HEAD holds. [the manifest beside the baselines]"""
    first: Annotated[bool, typer.Option("--first")] = False
    """With --base, for the pull request that brings the first baseline."""
    no_accept: Annotated[bool, typer.Option("--no-accept")] = False
    """With --base: fail what the change itself accepted."""
    report_only: Annotated[bool, typer.Option("--report-only")] = False
    """End with 0, whatever was found."""
    capture: list[Path] | None = None
    """A new capture, for the stored one of the same name; repeatable."""
    times: Times = Times.AUTO
    """Stored times: auto judges them on the class of machine that they are from, require fails on another, advisory
    only shows them, never leaves them out."""
    allow_inconclusive: shared.AllowInconclusive = False
    out: Path | None = None
    """Where to write the new file, if figures moved. [beside it, .proposed.json]"""
    force: shared.Force = False


@app.callback()
@reports()
def gate(context: typer.Context, options: Options) -> Sheet | None:
    """Measure again what the baselines hold, and fail where anything got worse.

    Ends with 0 where all is the same or better, 3 where something got worse, 4 where a row could not have shown it, 5
    where a result is wrong, 6 where something is missing or does not compare, 2 for a wrong command.

    - `vlbench gate`
    - `vlbench gate --base origin/main --markdown comment.md`
    """
    if context.invoked_subcommand is not None:
        return None
    from vlbench.api.verdicts import gate

    return compared(gate(**vars(options)).record)


class InitOptions(shared.CommandOptions):
    """The options of `vlbench gate init`."""

    tower: Annotated[str, typer.Argument(autocompletion=towers)]
    """package.module:factory, imported from the current folder: its code is run."""
    scenario: shared.Scenarios = None
    grid: shared.Grids = None
    gpu: shared.Gpu = None
    cudnn: shared.Cudnn = None
    dtype: shared.DtypeName = "bfloat16"
    reason: shared.Reason = "The first baseline."
    unchecked: shared.Unchecked = None
    by: shared.By = None


@app.command()
@reports(judges=False, formats=["json"])
def init(options: InitOptions) -> Sheet:
    """Put the repository in the current folder under the gate: a baseline of TOWER, a test, and a workflow.

    - `vlbench gate init my_package.vision:make`
    """
    from importlib.metadata import version

    from vlbench.api.defaults import defaults
    from vlbench.gating.init import Place, baseline_for
    from vlbench.gating.installs import installs
    from vlbench.gating.manifest import NAME
    from vlbench.record.baseline_files import PROPOSED
    from vlbench.towers.installed import packages_of
    from vlbench.towers.resolve import is_foreign

    place, file = Place.here(), baseline_for(options.tower, Path(relpath(defaults().baselines)))
    place.refuse(file, version("torch"))
    uncollected = place.uncollected()
    peers = ":" in options.tower and not is_foreign(options.tower)
    installed = installs(place.folder, place.top, "[peers]" if peers else "")
    made = saved(SaveOptions(file=file, **vars(options) | {"tower": [options.tower]}))
    place.write_test(file)
    new, workflow = place.write_workflow(made.fingerprint.torch, installed), place.seen(place.workflow)
    manifest = file.parent / NAME
    unwanted = place.ignore_proposals(file)
    told = [
        in_short(file, made),
        f"{place.test}: the same as a test, for pytest",
        f"{workflow}: " + (WRITTEN if new else "was there, and gates this one from now on, too"),
        f"{manifest}: what must be judged; commit all of these, for without this one the gate judges nothing",
    ]
    if unwanted:
        told.insert(-1, f"{unwanted}: keeps what a failed gate proposes, *{PROPOSED}, out of commits")
    if uncollected:
        told.append(uncollected)
    if new and installed.only_here:
        told.append(
            f"{workflow} installs {installed.only_here}, which no other machine has; name what a runner reaches"
        )
    if packages := packages_of(options.tower):
        told.append(f"{workflow} does not install {packages[0]}, which {options.tower} comes from; add it there")
    if not place.in_git:
        told.append("no repository here, or no git: `git init` before you commit, or nothing is gated")
    if ignored := place.ignored(file, manifest, place.test, workflow):
        told.append(f"git ignores {', '.join(ignored)}: add them with `git add --force`, or nobody else has them")
    return told_sheet(told, {**facts_of(file, made), "test": str(place.test), "workflow": str(workflow)})
