"""`vlbench run`: every variant on a scenario, checked, then timed against the reference tower in shared rounds.

`vlbench show`: the tables of its results again, in the terminal or in any other format.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from vlbench.api.arguments import UNREAD
from vlbench.cli import options as shared
from vlbench.cli.completion import files, named, one_of
from vlbench.cli.reporting import reports
from vlbench.export.sheet import Part, Sheet, Words, beside

coordinates = one_of("scenario=", "point=", "model=", "dtype=", "device=", "variant=")


class Options(shared.CommandOptions):
    """The options of `vlbench run`; those of `vlbench.run` have the same names."""

    UNREAD = UNREAD["run --plan"]
    READ: ClassVar = {"images": shared.PICTURES, "plan_file": shared.PLANS, "against": shared.RESULTS}

    scenario: Annotated[
        shared.Texts, typer.Option(autocompletion=named("scenarios", named("prompts", files(".toml", ".jsonl"))))
    ] = None
    """A shipped scenario (`vlbench list scenarios`) or a .toml file; repeatable. [multi-image]"""
    model: Annotated[shared.Texts, typer.Option(autocompletion=named("models"))] = None
    """See `vlbench list models`; repeatable. [tiny on a CPU, 7B on CUDA]"""
    seam: Annotated[shared.Texts, typer.Option(autocompletion=named("seams"))] = None
    """In place of a scenario: all ways of one seam alone, by size (`vlbench list seams`); repeatable."""
    variant: shared.Variants = None
    tower: shared.Towers = None
    """Any tower, package.module:factory (your code, which is run), qwen2.5-vl-7b+FLAG or hf:qwen2.5-vl-7b; repeatable,
    each is a row against the first."""
    exactness: shared.Classes = None
    """With --tower, what the others claim: bit-exact, ulp or reassociated. [the last]"""
    ablate: Annotated[str | None, typer.Option(autocompletion=named("ablations"))] = None
    """Take the one variant apart: add-one, leave-one-out, cumulative or pairs. [of `best`]"""
    images: list[Path] | None = None
    """Your own pictures, in one call, each at its own size: --images A B C."""
    scenario_sizes: Annotated[bool, typer.Option("--scenario-sizes")] = False
    """With --images: cropped to the sizes of --scenario, in place of the shipped photos."""
    weights: shared.Weights = None
    device: shared.DeviceName = "auto"
    dtype: Annotated[shared.Texts, typer.Option(autocompletion=named("dtypes"))] = None
    """float32, bfloat16 or float16; repeatable. [float32 on a CPU, bfloat16 on CUDA]"""
    state: Annotated[shared.Texts, typer.Option(autocompletion=named("states"))] = None
    """Caches warm, cold or churn, or behind queued work on CUDA; repeatable. [warm]"""
    only: Annotated[shared.Texts, typer.Option("--filter", autocompletion=coordinates)] = None
    """Cells to keep: variant=rope-*, point=count=4; repeatable."""
    plan: shared.PlanToo = False
    plan_file: Annotated[Path | None, typer.Option(metavar="FILE", autocompletion=files(".jsonl"))] = None
    """In place of all that: a part of what `vlbench plan` wrote. --plan FILE says the same."""
    shard: Annotated[str | None, typer.Option(metavar="i/n")] = None
    """Of a plan: which part of how many. Parts hold whole groups. [1/1]"""
    seed: shared.Seed = 0
    threads: shared.Threads = 1
    trials: Annotated[int, typer.Option(min=1)] = 1
    """Processes: 1 is a quick look, 5 give a verdict."""
    budget: Annotated[float | None, typer.Option(min=1)] = None
    """Seconds for the whole run: checks, rounds, stages and confirming; to start Python comes on top. [90 on a CPU, 300
    on CUDA]"""
    timeout: shared.Timeout = 900
    isolate: Annotated[bool, typer.Option("--isolate")] = False
    """Each row in a process of its own, at most 8; what it is compared with is made when that has ended."""
    resume: bool = False
    """Go on with the run that was interrupted, or had no time for all."""
    out: Path | None = None
    """Results file. [vlbench-SCENARIO.json, or -2, -3 ... where that is there]"""
    force: shared.Force = False
    against: Path | None = None
    """An earlier results file, and what `vlbench diff` says of the two."""
    card: bool = True
    """Measure the machine itself, too (2 s)."""
    counts: Annotated[bool | None, typer.Option("--counts/--no-counts")] = None
    """Count each measured row, too, at the size of a released model as on an H100; where not asked for, in three
    minutes at most. [where the model is the small one of a CPU and there is no --budget]"""


@reports()
def run(options: Options) -> Sheet:
    """Time variants of a vision tower against the frozen reference tower, accuracy first.

    Exit code 5 when a variant is inaccurate, 6 when one could not be measured.

    - `vlbench run`
    - `vlbench run --scenario video --model qwen2.5-vl-7b --with best --trials 5`
    - `vlbench run --tower hf:qwen2.5-vl-7b --tower my_tower:make --csv rows.csv`
    - `vlbench run --images a.jpg b.jpg --with best`
    - `vlbench run --plan plan.jsonl --shard 2/4`
    """
    from vlbench.matrix.plan import parse_filter
    from vlbench.record.destinations import check_results_file, free_output

    parse_filter(options.only or [])  # before torch is imported, as this
    if options.out:
        check_results_file(options.out, resume=options.resume, force=options.force)
    from vlbench.api.measured import Interrupted
    from vlbench.api.running import run, scenarios_of
    from vlbench.export.results import results_sheet

    if options.plan_file:
        return _run_part(options, options.plan_file)
    own = ["images"] if options.images and not options.scenario_sizes else scenarios_of(options.scenario)
    names = ["seam", *options.seam] if options.seam else own
    stem = f"vlbench-{'-'.join(Path(name).stem for name in names)}"
    out = options.out or free_output(stem, resume=options.resume)
    interrupted = False
    try:
        given = {name: value for name, value in vars(options).items() if name not in ("plan_file", "shard")}
        measured = run(**given | {"out": out, "command": shared.command_line()})
    except Interrupted as interruption:
        measured, interrupted = interruption.results, True
    parts: list[Part] = [Words(note, "dim") for note in measured.notes]
    if measured.verdicts:
        parts += beside(measured.verdicts.record)
    if kept := out.is_file():  # a pipe or a device keeps nothing that could be read or gone on with
        parts.append(Words(f"Results in {out}; in Python: vlbench.load({str(out)!r})", "dim"))
    sheet = results_sheet(measured.record, after=parts)
    if kept and not measured.record.complete and not interrupted:
        trials = [trial for group in measured.record.groups for trial in group.trials]
        begun = any(not each.left for trial in trials for each in trial.variants)
        holds = "what there was time for; --resume measures the rest" if begun else "no row: nothing to go on from"
        sheet = replace(sheet, last=f"{out} has {holds}")
    return shared.or_interrupted(sheet, interrupted, out)


def _run_part(options: Options, plan: Path) -> Sheet:
    """A part of a plan, which is kept as `vlbench-shard-2-of-4.json` where no file is named."""
    from vlbench.api.measured import Interrupted
    from vlbench.api.planning import run_plan
    from vlbench.export.results import results_sheet
    from vlbench.record.destinations import free_output
    from vlbench.record.shards import part_stem

    shard = options.shard or "1/1"
    out = options.out or free_output(part_stem(shard), resume=options.resume)
    same = {name: getattr(options, name) for name in ("timeout", "card", "resume", "force")}
    interrupted = False
    try:
        measured = run_plan(plan, shard, out=out, **same, command=shared.command_line())
    except Interrupted as interruption:
        measured, interrupted = interruption.results, True
    after = f"`vlbench merge --expect {plan}` puts all parts together"
    told = Words(f"Results in {out}; {after if measured.record.complete else '--resume measures the rest'}", "dim")
    return shared.or_interrupted(results_sheet(measured.record, after=[told]), interrupted, out)


@reports()
def show(
    results: Annotated[Path, typer.Argument(help="A file that `vlbench run --out` or `predict --check` wrote.")],
) -> Sheet:
    """Show the tables of a results file or of a prediction, or write them in another format.

    - `vlbench show vlbench-multi-image.json --csv rows.csv --markdown rows.md`
    """
    from vlbench.export.results import machine_parts, results_sheet
    from vlbench.predicting.reading import prediction_in
    from vlbench.record.files import RESULTS, read_results
    from vlbench.untrusted.files import read_json

    content = read_json(results, RESULTS)
    if predicted := prediction_in(results, content if isinstance(content, dict) else {}):
        from vlbench.export.checked_prediction import prediction_sheet
        from vlbench.export.held_capture import held_capture_sheet
        from vlbench.predicting.captured import HeldCapture

        sheet = held_capture_sheet(predicted) if isinstance(predicted, HeldCapture) else prediction_sheet(predicted)
        return replace(sheet, exit_code=0)
    found = read_results(results)
    return replace(results_sheet(found, after=machine_parts(found)), exit_code=0)
