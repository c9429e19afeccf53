"""`vlbench baseline`: saves, shows and accepts what `vlbench gate` holds a change against."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from vlbench.cli import options as shared
from vlbench.cli.options import By, CommandOptions, DtypeName, Gpu, Grids, Reason, Scenarios, Towers, Unchecked, With
from vlbench.cli.reporting import reports
from vlbench.errors import UsageError
from vlbench.export.sheet import Sheet, Words

if TYPE_CHECKING:
    from vlbench.counting.job import Point
    from vlbench.record.baseline import Baseline

app = typer.Typer(no_args_is_help=True, help="Save, show and accept what `vlbench gate` holds a change against.")


class FileOptions(CommandOptions):
    """The argument of `vlbench baseline show`, and the first of others."""

    file: Annotated[Path, typer.Argument()]
    """The baseline file."""


class ReasonedOptions(FileOptions):
    """What each command takes that writes a baseline."""

    reason: Reason
    by: By = None


class SaveOptions(ReasonedOptions):
    """The options of `vlbench baseline save`."""

    UNREAD: ClassVar = {"tower=None": "gpu cudnn dtype unchecked", "capture=None": "ranges"}
    READ: ClassVar = {"results": shared.RESULTS, "capture": shared.CAPTURES}

    tower: Towers = None
    variant: With = None
    scenario: Scenarios = None
    grid: Grids = None
    capture: list[Path] | None = None
    """A capture from a GPU: .nsys-rep, .sqlite or a torch trace; repeatable."""
    results: Path | None = None
    """Times: a file of `vlbench run --trials 5`, for this class of machine."""
    ranges: Annotated[str | None, typer.Option("--range", metavar="REGEX")] = None
    """Of the captures: ranges whose domain:name fits this expression."""
    gpu: Gpu = None
    cudnn: shared.Cudnn = None
    dtype: DtypeName = "bfloat16"
    unchecked: Unchecked = None
    force: Annotated[bool, typer.Option("--force")] = False
    """Write over a file that is there; its history is lost."""


@app.command()
@reports(judges=False, formats=["json"])
def save(options: SaveOptions) -> Sheet:
    """Count towers and store it as a new baseline.

    - `vlbench baseline save results/baselines/mine.json --tower my_tower:make --reason "the first"`
    """
    made = saved(options)
    told = f"{in_short(options.file, made)}; commit it, and run `vlbench gate` before every merge"
    return told_sheet([told], facts_of(options.file, made))


def saved(options: SaveOptions) -> Baseline:
    """The new baseline, which is written by then. Raises UsageError, IncomparableError for what cannot be counted."""
    from vlbench.api.defaults import defaults
    from vlbench.comparing.captured import captured_cell
    from vlbench.comparing.timed_cells import timed_cells
    from vlbench.export.progress import doing
    from vlbench.gating.acceptance import acceptance
    from vlbench.gating.save import count_all, count_requests, refuse_goal, save, store_outputs
    from vlbench.judging.words import number_of
    from vlbench.record.files import read_results
    from vlbench.record.fingerprint import take_fingerprint
    from vlbench.towers.models import find_dtype

    refuse_goal(options.file, options.force)
    if not (options.tower or options.capture or options.results):
        raise UsageError("there is nothing to save; name what to count with --tower, or give --results or a --capture")
    if not options.tower and (options.variant or options.grid or (options.scenario and not options.results)):
        raise UsageError("--with, --scenario and --grid say how a tower is counted; name one with --tower")
    (gpu, cudnn), dtype = defaults().answered_for(options.gpu, options.cudnn), find_dtype(options.dtype)
    points = _points(options) if options.tower else []
    wanted = count_requests(options.tower or (), tuple(options.variant or ()) or None, points, gpu, dtype, cudnn)
    found = read_results(options.results) if options.results else None
    timed = timed_cells(found, str(options.results), scenarios=options.scenario or ()) if found else ()
    captured = tuple(captured_cell(path, options.ranges) for path in options.capture or ())
    here = found.fingerprint if found else take_fingerprint("cpu")
    entry = acceptance("saved", options.reason, here.torch, by=options.by)
    with doing(f"counting {number_of(len(wanted), 'cell')}, and checking their towers") as watch:
        counted = count_all(wanted, watch.steps)
        outputs, unchecked = store_outputs([each.tower for each in counted], options.unchecked)
    return save(
        options.file,
        here,
        entry,
        counted=counted,
        timed=timed,
        captured=captured,
        outputs=outputs,
        unchecked=unchecked,
        force=options.force,
    )


@app.command()
@reports(judges=False)
def show(options: FileOptions) -> Sheet:
    """Show what a baseline holds, and who accepted it.

    - `vlbench baseline show results/baselines/mine.json`
    """
    from vlbench.export.baseline import baseline_sheet
    from vlbench.record.baseline_files import load_baseline, why_unfit

    found = load_baseline(options.file)
    unfit = why_unfit(found)
    return baseline_sheet(found, unfit, lambda: as_json_text({"unfit": unfit, **found.model_dump(mode="json")}))


@app.command("list")
@reports(judges=False)
def list_files(
    folder: Annotated[Path | None, typer.Argument(help="Where they lie. [results/baselines]")] = None,
) -> Sheet:
    """List the baselines of a folder, with their state.

    - `vlbench baseline list`
    """
    from vlbench.api.defaults import defaults
    from vlbench.export.baseline import list_sheet
    from vlbench.record.baseline_files import find_baselines

    listed = {path: _listed(path) for path in find_baselines(folder or Path(defaults().baselines))}
    facts = [{**facts_of(path, found), "state": state} for path, (_, found, state) in listed.items()]
    return list_sheet(listed.values(), lambda: as_json_text(facts))


class AcceptOptions(ReasonedOptions):
    """The options of `vlbench baseline accept`."""

    proposal: Annotated[Path | None, typer.Option("--from")] = None
    """The file that `vlbench gate --out` wrote. [beside it, .proposed.json]"""


@app.command()
@reports(judges=False, formats=["json"])
def accept(options: AcceptOptions) -> Sheet:
    """Take what the gate proposed in place of FILE, or seal what was edited by hand in FILE.

    - `vlbench baseline accept results/baselines/mine.json --reason "one wait fewer"`
    """
    from vlbench.gating.acceptance import accept as take

    return _accepted(options.file, take(options.file, options.reason, proposal=options.proposal, by=options.by))


@app.command()
@reports(judges=False, formats=["json"])
def remove(options: ReasonedOptions) -> Sheet:
    """Delete a baseline, or strike one that is gone; the manifest keeps who did it and why.

    - `vlbench baseline remove results/baselines/mine.json --reason "the tower is gone"`
    """
    from datetime import UTC, datetime

    from vlbench.gating.acceptance import named, said
    from vlbench.gating.manifest import NAME, Removal, remove as strike

    reason = said("--reason", options.reason, "say why it is no longer judged")
    removal = Removal(file=options.file.name, by=named(options.by), reason=reason, date=datetime.now(UTC))
    strike(options.file, removal)
    told = f"{options.file}: removed by {removal.by}; commit that and {options.file.parent / NAME}"
    return told_sheet([told], removal.model_dump(mode="json"))


class CompleteOptions(ReasonedOptions):
    """The options of `vlbench baseline complete`."""

    outputs: Annotated[bool, typer.Option("--outputs")] = False
    """Also take the outputs of today in place of those that are stored."""
    unchecked: Unchecked = None


@app.command()
@reports(judges=False, formats=["json"])
def complete(options: CompleteOptions) -> Sheet:
    """Add what an earlier vlbench did not store in FILE; no figure changes.

    - `vlbench baseline complete results/baselines/mine.json --reason "outputs, too"`
    """
    from vlbench.export.progress import doing
    from vlbench.gating.complete import complete as add

    with doing(f"running what {options.file} holds"):
        made = add(**vars(options))
    return _accepted(options.file, made)


@app.command()
@reports(judges=False, formats=["json"])
def rebase(options: ReasonedOptions) -> Sheet:
    """Count again with another torch, where no Python file has changed, and store what torch alone changed.

    - `vlbench baseline rebase results/baselines/mine.json --reason "torch 2.12"`
    """
    from vlbench.export.progress import doing
    from vlbench.gating.rebase import rebase as count_with_other_torch
    from vlbench.record.fingerprint import take_fingerprint

    here = take_fingerprint("cpu")
    with doing(f"counting with torch {here.torch}"):
        made = count_with_other_torch(options.file, options.reason, here, options.by)
    return _accepted(options.file, made)


@app.command()
@reports(judges=False, formats=["json"])
def migrate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Baselines of an earlier vlbench.")],
) -> Sheet:
    """Bring baselines of the earlier file format over: the same figures, accepted as they were.

    - `vlbench baseline migrate results/baselines/mine.json`
    """
    from vlbench.judging.words import number_of
    from vlbench.record.migration import migrate as bring_over

    told, facts = [], []
    for file in files:
        baseline, is_new = bring_over(file)
        moved = f"{number_of(len(baseline.cells), 'cell')} brought over; commit it"
        told.append(f"{file}: " + (moved if is_new else "has today's format already"))
        facts.append(facts_of(file, baseline))
    return told_sheet(told, facts)


def _listed(path: Path) -> tuple[str, Baseline | None, str]:
    from vlbench.record.baseline_files import load_baseline, proposal_path, why_unfit

    try:
        found = load_baseline(path)
    except UsageError as error:
        return path.name, None, str(error)
    waiting = ", a proposal waits beside it" if proposal_path(path).exists() else ""
    return path.name, found, (why_unfit(found) or "in force") + waiting


def _accepted(file: Path, made: Baseline) -> Sheet:
    last = made.accepted[-1]
    return told_sheet([*last.changes, f"{file}: {last.what} by {last.by}; commit it"], facts_of(file, made))


def told_sheet(lines: list[str], facts: object) -> Sheet:
    """What was done, in lines for people and as facts for programs."""
    return Sheet("vlbench baseline", list(map(Words, lines)), own={"json": lambda: as_json_text(facts)})


def in_short(file: Path, made: Baseline) -> str:
    """What a new baseline holds and whose it is, in one line."""
    from vlbench.judging.words import number_of

    return f"{file}: {number_of(len(made.cells), 'cell')}, saved by {made.accepted[-1].by}"


def facts_of(file: Path, baseline: Baseline | None) -> dict[str, object]:
    """A baseline file in short; all but its name is None where it cannot be read."""
    last = baseline.accepted[-1].model_dump(mode="json") if baseline and baseline.accepted else None
    return {"file": str(file), "cells": len(baseline.cells) if baseline else None, "accepted": last}


def as_json_text(document: object) -> str:
    """One document, indented."""
    return json.dumps(document, indent=1, ensure_ascii=False)


def _points(options: SaveOptions) -> list[Point]:
    """What towers are counted on. Raises UsageError."""
    from vlbench.api.counts import SCENARIO
    from vlbench.api.defaults import defaults
    from vlbench.comparing.counted_cells import grid_point, points_of
    from vlbench.counting.job import parse_grid

    if options.grid and options.scenario:
        raise UsageError("--grid takes the place of --scenario; give one of them")
    if options.grid:
        return [grid_point(tuple(map(parse_grid, options.grid)))]
    names = options.scenario or [defaults().scenario or SCENARIO]
    return [point for name in dict.fromkeys(names) for point in points_of(name)]
