"""`vlbench run`: every variant on a scenario, checked, then timed against the reference tower in shared rounds.

`vlbench show`: the tables of its results again, in the terminal or in any other format.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from vlbench.cli.options import (
    CommandOptions,
    DeviceName,
    Force,
    Seed,
    Texts,
    Threads,
    Timeout,
    Variants,
    Weights,
    command_line,
    complete_models,
    complete_scenarios,
    completion,
    or_interrupted,
)
from vlbench.cli.reporting import reports
from vlbench.export.sheet import Part, Sheet, Words, beside

complete_seams = completion("vlbench.workload.seam_inputs:CASES")


class Options(CommandOptions):
    """The options of `vlbench run`; those of `vlbench.run` have the same names."""

    scenario: Annotated[Texts, typer.Option(autocompletion=complete_scenarios)] = None
    """A shipped scenario (`vlbench list scenarios`) or a .toml file; repeatable. [multi-image]"""
    model: Annotated[Texts, typer.Option(autocompletion=complete_models)] = None
    """See `vlbench list models`; repeatable. [tiny on a CPU, 7B on CUDA]"""
    seam: Annotated[Texts, typer.Option(autocompletion=complete_seams)] = None
    """In place of a scenario: all ways of one seam alone, by size (`vlbench list seams`); repeatable."""
    variant: Variants = None
    tower: Texts = None
    """Any tower, package.module:factory (your code, which is run), qwen2.5-vl-7b+FLAG or hf:qwen2.5-vl-7b; repeatable,
    each is a row against the first."""
    exactness: str | None = None
    """With --tower, what the others claim: bit-exact, ulp or reassociated. [the last]"""
    ablate: str | None = None
    """Take the one variant apart: add-one, leave-one-out, cumulative or pairs. [of `best`]"""
    images: list[Path] | None = None
    """Your own pictures in place of the shipped photos: --images A B C."""
    weights: Weights = None
    device: DeviceName = "auto"
    dtype: Texts = None
    """float32, bfloat16 or float16; repeatable. [float32 on a CPU, bfloat16 on CUDA]"""
    state: Texts = None
    """Caches warm, cold or churn, or behind queued work on CUDA; repeatable. [warm]"""
    only: Annotated[Texts, typer.Option("--filter")] = None
    """Cells to keep: variant=rope-*, point=count=4; repeatable."""
    seed: Seed = 0
    threads: Threads = 1
    trials: Annotated[int, typer.Option(min=1)] = 1
    """Processes: 1 is a quick look, 5 give a verdict."""
    budget: Annotated[float, typer.Option(min=1)] = 60
    """Seconds for the whole run: checks, rounds, stages and confirming; to start Python comes on top."""
    timeout: Timeout = 900
    resume: bool = False
    """Go on with the run that was interrupted, or had no time for all."""
    out: Path | None = None
    """Results file. [vlbench-SCENARIO.json, or -2, -3 ... where that is there]"""
    force: Force = False
    against: Path | None = None
    """An earlier results file, and what `vlbench diff` says of the two."""
    card: bool = True
    """Measure the machine itself, too (2 s)."""


@reports()
def run(options: Options) -> Sheet:
    """Time variants of a vision tower against the frozen reference tower, accuracy first.

    Exit code 5 when a variant is inaccurate, 6 when one could not be measured.
    """
    from vlbench.api.measured import Interrupted
    from vlbench.api.running import run, scenarios_of
    from vlbench.export.results import results_sheet
    from vlbench.record.destinations import free_output

    names = ["seam", *options.seam] if options.seam else scenarios_of(options.scenario)
    stem = f"vlbench-{'-'.join(Path(name).stem for name in names)}"
    out = options.out or free_output(stem, resume=options.resume)
    interrupted = False
    try:
        measured = run(**vars(options) | {"out": out, "command": command_line()})
    except Interrupted as interruption:
        measured, interrupted = interruption.results, True
    parts: list[Part] = [Words(note, "dim") for note in measured.notes]
    if measured.verdicts:
        parts += beside(measured.verdicts.record)
    if kept := out.is_file():  # a pipe or a device keeps nothing that could be read or gone on with
        parts.append(Words(f"Results in {out}; in Python: vlbench.load({str(out)!r})", "dim"))
    sheet = results_sheet(measured.record, after=parts)
    if kept and not measured.record.complete and not interrupted:
        sheet = replace(sheet, last=f"{out} has what there was time for; --resume measures the rest")
    return or_interrupted(sheet, interrupted, out)


@reports()
def show(results: Annotated[Path, typer.Argument(help="A file that `vlbench run --out` wrote.")]) -> Sheet:
    """Show the tables of a results file."""
    from vlbench.export.results import machine_parts, results_sheet
    from vlbench.record.files import read_results

    found = read_results(results)
    return replace(results_sheet(found, after=machine_parts(found)), exit_code=0)
