"""`vlbench count`: what a tower asks of a GPU, counted without one."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from vlbench.cli.options import DtypeName, Gpu, Grids
from vlbench.cli.reporting import reports
from vlbench.errors import UsageError
from vlbench.export.sheet import Sheet, beside, compared

MODEL, SCENARIO = "qwen2.5-vl-7b", "single-image"


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
    gpu: Gpu = None,
    dtype: DtypeName = "bfloat16",
) -> Sheet:
    """Count device operations, attention calls, host syncs and copies of a tower at full size, without a GPU.

    Counts are exact and the same on every machine with the same torch; weights are not needed.
    Ends with 0, with 2 if an option is wrong, with 6 if something in a tower cannot be counted.
    """
    from vlbench.api.counts import count
    from vlbench.counting.kernels import kernel_lines
    from vlbench.export.counted import counted_sheet
    from vlbench.export.formats.json import json_text

    towers = _both(diff, tower, variant) if diff else tower
    variants = () if diff else variant or None
    report = count(towers, variant=variants, scenario=scenario, grid=grid, gpu=gpu, dtype=dtype).record
    sheet = counted_sheet(report, cold, kernel_lines(report, cold), where=where)
    if not diff:
        return sheet
    from vlbench.comparing.compared import compare_towers  # which loads torch

    judged = compare_towers(report, *_both(diff, tower, variant))
    own = {"json": lambda: json_text(compared(judged))}
    return replace(sheet, parts=[*sheet.parts, *beside(judged)], own=own)


def _both(diff: tuple[str, str], towers: list[str] | None, variants: list[str] | None) -> tuple[str, str]:
    """The two towers of --diff; a variant is one of the model that --tower names."""
    from vlbench.implementations.config import MODELS

    if variants or len(towers or ()) > 1:
        raise UsageError("--diff names what it compares; give it no --with, and one --tower at most")
    model = towers[0] if towers else MODEL
    names = [model if text == "baseline" else text for text in diff]
    first, second = (text if ":" in text or text.partition("+")[0] in MODELS else f"{model}+{text}" for text in names)
    if first == second:
        raise UsageError(f"--diff: {first} is named twice; name two")
    return first, second
