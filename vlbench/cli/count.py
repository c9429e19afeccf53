"""`vlbench count`: what a tower asks of a GPU, counted without one; `vlbench calibrate`: what that is on a GPU."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from vlbench.cli.completion import named
from vlbench.cli.options import (
    CommandOptions,
    Cudnn,
    DeviceName,
    DtypeName,
    Force,
    Gpu,
    Grids,
    PlanToo,
    Scenario,
    Texts,
    Towers,
    With,
)
from vlbench.cli.reporting import reports
from vlbench.errors import UsageError
from vlbench.export.sheet import Sheet, Words, beside, compared


class Counted(CommandOptions):
    """What is counted, and on what."""

    tower: Towers = None
    """qwen2.5-vl-7b, hf:qwen2.5-vl-7b, qwen2.5-vl-7b+FLAG or package.module:factory (your code, which is run);
    repeatable. [qwen2.5-vl-7b]"""
    variant: With = None
    scenario: Scenario = None
    grid: Grids = None
    dtype: DtypeName = "bfloat16"
    stray: Annotated[Texts, typer.Argument(hidden=True)] = None


class CountOptions(Counted):
    """The options of `vlbench count`."""

    UNREAD: ClassVar = {"capture": "where diff cold plan over"}

    where: Annotated[bool, typer.Option("--where")] = False
    """Each sync and copy with its line, and what removes it."""
    diff: Annotated[tuple[str, str] | None, typer.Option("--diff", metavar="A B")] = None
    """Two variants or towers, B against A."""
    cold: Annotated[bool, typer.Option("--cold")] = False
    """Show the first forward, in place of the second."""
    plan: PlanToo = False
    capture: Annotated[bool, typer.Option("--capture")] = False
    """Which lines keep each forward from being a CUDA graph; and with its plan handed in, where it takes one."""
    key: Annotated[str | None, typer.Option("--key", metavar="FACT,...", autocompletion=named("facts"))] = None
    """With --capture: is one graph right for all batches that share these? tokens, items, frames, lengths, longest,
    grids, dtype."""
    region: Annotated[str | None, typer.Option("--region", metavar="STAGE..STAGE")] = None
    """With --capture: look at these stages alone, such as block[0].attention..merger."""
    over: Annotated[str | None, typer.Option("--over", metavar="REV..REV")] = None
    """Which revision of this repository changed a counter? Counts both ends, then halves."""
    gpu: Gpu = None
    cudnn: Cudnn = None


class CalibrateOptions(Counted):
    """The options of `vlbench calibrate`."""

    UNREAD: ClassVar = {"board": "tower variant scenario grid out", "board=None": "device budget"}

    out: Annotated[Path, typer.Option(metavar="FOLDER")] = Path("results/calibration")
    """Folder for the calibration."""
    board: Annotated[Path | None, typer.Option("--board", metavar="FILE")] = None
    """In place of that: time products, attention and copies here, and keep them as a board for `predict --gpu`."""
    device: DeviceName = "auto"
    budget: Annotated[float | None, typer.Option(min=1)] = None
    """With --board: seconds of measuring. [30]"""
    force: Force = False


@reports()
def count(options: CountOptions) -> Sheet:
    """Count device operations, attention calls, host syncs and copies of a tower at full size, without a GPU.

    Counts are exact and the same on every machine with the same torch; weights are not needed.
    Ends with 0, with 2 if an option is wrong, with 6 if something in a tower cannot be counted. With --capture also
    with 3, if a tower cannot be a CUDA graph, its plan handed in or not, or its key is refuted.

    - `vlbench count --tower my_tower:make --where`
    - `vlbench count --tower my_tower:make --capture`
    - `vlbench count --diff baseline best --scenario video`
    - `vlbench count --over v1.0..HEAD --tower my_tower:make`
    """
    if options.capture:
        return _captured(options)
    if options.key is not None or options.region is not None:
        raise UsageError("--key and --region ask about a capture; give --capture too")
    from vlbench.api.counts import count, counted_otherwise
    from vlbench.counting.kernels import kernel_lines
    from vlbench.export.counted import counted_sheet
    from vlbench.export.formats.json import json_text

    refuse_stray(options)
    if options.over:
        return _over(options)
    both = _both(options.diff, options) if options.diff else None
    report = count(
        both or options.tower,
        variant=() if both else options.variant or None,
        scenario=options.scenario,
        grid=options.grid,
        gpu=options.gpu,
        cudnn=options.cudnn,
        dtype=options.dtype,
        plan=options.plan,
    ).record
    sheet = counted_sheet(report, options.cold, kernel_lines(report, options.cold), where=options.where)
    sheet = replace(sheet, parts=[*sheet.parts, *(Words(note, "yellow") for note in counted_otherwise(report))])
    if not both:
        return sheet
    from vlbench.comparing.compared import compare_towers  # which loads torch

    judged = compare_towers(report, *both)
    own = {"json": lambda: json_text(compared(judged))}
    return replace(sheet, parts=[*sheet.parts, *beside(judged)], own=own)


def _captured(options: CountOptions) -> Sheet:
    from vlbench.api.capturing import capturable
    from vlbench.export.capturable import capture_sheet

    refuse_stray(options)
    asked = ("key", "region", "scenario", "grid", "gpu", "cudnn", "dtype")
    given = {name: getattr(options, name) for name in asked}
    return capture_sheet(capturable(options.tower, variant=options.variant or None, **given).record)


@reports()
def calibrate(options: CalibrateOptions) -> Sheet:
    """Profile towers on this machine's GPU, count the same towers, and learn how many kernels an operation is.

    Needs a GPU, but for --board. Ends with 6 where syncs or copies were counted otherwise than the GPU has them.

    - `vlbench calibrate --tower qwen2.5-vl-7b --out results/calibration`
    - `vlbench calibrate --board mine.json`
    """
    refuse_stray(options)
    if options.board:
        from vlbench.api.boards import measure_board
        from vlbench.export.calibrated import board_sheet

        given = {name: getattr(options, name) for name in ("device", "dtype", "budget", "force")}
        return board_sheet(measure_board(options.board, **given), options.board)
    from vlbench.api.counts import count_job
    from vlbench.counting.calibrate import calibrate, write_calibration
    from vlbench.export.calibrated import calibrated_sheet
    from vlbench.export.progress import doing

    variants, grids = options.variant or None, options.grid or []
    job = count_job(options.tower, variants, options.scenario, grids, dtype=options.dtype)  # as the GPU that is here
    with doing(f"profiling, then counting {', '.join(job.towers)}") as watch:
        found = calibrate(job, options.out, force=options.force, steps=watch.steps)
    return calibrated_sheet(found, write_calibration(found, options.out))


def refuse_stray(options: Counted) -> None:
    """Raises UsageError for a tower that is named without its option."""
    if options.stray:
        raise UsageError(f"{options.stray[0]} belongs to no option; a tower is named as in --tower {options.stray[0]}")


def _over(options: CountOptions) -> Sheet:
    from vlbench.api.counts import count_over

    given = {"--with": options.variant, "--diff": options.diff, "--where": options.where, "--plan": options.plan}
    if odd := [name for name, value in (given | {"--cold": options.cold}).items() if value]:
        raise UsageError(f"{odd[0]} says nothing beside --over; leave it out")
    if len(options.tower or []) > 1:
        raise UsageError(f"--over counts one tower, and {len(options.tower or [])} are named; give one --tower")
    tower = options.tower[0] if options.tower else None
    kept = {name: getattr(options, name) for name in ("scenario", "grid", "gpu", "cudnn", "dtype")}
    return compared(count_over(options.over or "", tower, **kept).record)


def _both(diff: tuple[str, str], options: Counted) -> tuple[str, str]:
    """The two towers of --diff; a variant is one of the model that --tower names."""
    from vlbench.api.counts import MODEL
    from vlbench.record.schema import REFERENCE
    from vlbench.towers.resolve import is_tower

    towers = options.tower or [MODEL]
    if options.variant or len(towers) > 1:
        raise UsageError("--diff names what it compares; give it no --with, and one --tower at most")
    (model,) = towers
    names = [model if text == REFERENCE else text for text in diff]
    first, second = (text if is_tower(text) else f"{model}+{text}" for text in names)
    if first == second:
        raise UsageError(f"--diff: {first} is named twice; name two")
    return first, second
