"""`vlbench count`: what a tower asks of a GPU, counted without one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from vlbench.cli.options import DtypeName, Grids, Profile, find_dtype
from vlbench.cli.reporting import reports
from vlbench.errors import UsageError
from vlbench.export.sheet import Sheet, beside, compared

if TYPE_CHECKING:
    from vlbench.counting.job import Point

MODEL = "qwen2.5-vl-7b"
SCENARIO = "single-image"


@reports()
def count(
    tower: Annotated[
        list[str] | None,
        typer.Option(
            help=f"{MODEL}, hf:{MODEL}, {MODEL}+FLAG or package.module:factory (your code, which is run); "
            f"repeatable. [{MODEL}]"
        ),
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option("--with", help="A variant of our model: flags and presets joined by +; repeatable. [presets]"),
    ] = None,
    scenario: Annotated[
        str | None, typer.Option(help=f"A shipped scenario or a .toml file, at its full size. [{SCENARIO}]")
    ] = None,
    grid: Grids = None,
    where: Annotated[
        bool, typer.Option("--where", help="Each sync and copy with its line, and what removes it.")
    ] = False,
    diff: Annotated[
        tuple[str, str] | None,
        typer.Option("--diff", metavar="A B", help="Two variants or towers, B against A."),
    ] = None,
    cold: Annotated[bool, typer.Option("--cold", help="Show the first forward, in place of the second.")] = False,
    profile: Profile = "sm_90",
    dtype: DtypeName = "bfloat16",
) -> Sheet:
    """Count device operations, attention calls, host syncs and copies of a tower at full size, without a GPU.

    Counts are exact and the same on every machine with the same torch; weights are not needed.
    Ends with 0, with 2 if an option is wrong, with 6 if something in a tower cannot be counted.
    """
    from vlbench.counting.job import CountJob
    from vlbench.counting.kernels import kernel_lines
    from vlbench.counting.run import run_count
    from vlbench.export.counted import counted_sheet
    from vlbench.export.formats.json import json_text

    towers = _both(diff, tower, variant) if diff else tuple(dict.fromkeys(tower or [MODEL]))
    variants = () if diff else tuple(variant) if variant else None
    job = CountJob(
        towers=towers,
        variants=variants,
        points=tuple(points_of(scenario, grid)),
        profile=profile,
        dtype=find_dtype(dtype),
    )
    report = run_count(job)
    sheet = counted_sheet(report, cold, kernel_lines(report, cold), where=where)
    if not diff:
        return sheet
    from vlbench.comparing.compared import compare_towers  # which loads torch

    judged = compare_towers(report, *towers)
    own = {"json": lambda: json_text(compared(judged))}
    return replace(sheet, parts=[*sheet.parts, *beside(judged)], own=own)


def points_of(scenario: str | None, grids: list[str] | None) -> list[Point]:
    """What is fed in. Raises UsageError for a scenario or grid that is none, or for both."""
    from vlbench.counting.job import Point
    from vlbench.workload import grids_only, load_scenario

    if grids:
        if scenario:
            raise UsageError("--grid takes the place of --scenario; give one of them")
        return [Point(scenario="grid", label="", grids=tuple(_grid(text) for text in grids))]
    found = load_scenario(scenario or SCENARIO)
    return [
        Point(scenario=found.name, label=point.label, grids=grids_only(point, seed=0)) for point in found.points("cuda")
    ]


def _grid(text: str) -> tuple[int, int, int]:
    parts = text.split("x")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        raise UsageError(f"--grid: {text!r} must be FRAMESxROWSxCOLUMNS in patches, such as 1x36x36")
    t, h, w = map(int, parts)
    return t, h, w


def _both(diff: tuple[str, str], towers: list[str] | None, variants: list[str] | None) -> tuple[str, ...]:
    """The two towers of --diff; a variant is one of the model that --tower names."""
    from vlbench.implementations.config import MODELS

    if variants or len(towers or ()) > 1:
        raise UsageError("--diff names what it compares; give it no --with, and one --tower at most")
    model = towers[0] if towers else MODEL
    names = [model if text == "baseline" else text for text in diff]
    both = [text if ":" in text or text.partition("+")[0] in MODELS else f"{model}+{text}" for text in names]
    if both[0] == both[1]:
        raise UsageError(f"--diff: {both[0]} is named twice; name two")
    return tuple(both)
