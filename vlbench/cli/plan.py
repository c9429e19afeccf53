"""`vlbench plan` and `vlbench merge`: one run on many machines, and its parts together again."""

import json
import sys
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from vlbench.api.arguments import UNREAD
from vlbench.cli import options as shared
from vlbench.cli.completion import files, named
from vlbench.cli.reporting import reports
from vlbench.errors import UsageError
from vlbench.export.sheet import Sheet, Words
from vlbench.untrusted.names import terminal

LAUNCHERS = ("github", "buildkite", "slurm")


class PlanOptions(shared.CommandOptions):
    """The arguments and options of `vlbench plan`; those that `vlbench run` has, too, mean the same."""

    UNREAD = UNREAD["plan"]
    READ: ClassVar = {"matrix": "vlbench.record.plan_file:MATRIX"}
    WRITES = True

    matrix: Annotated[Path | None, typer.Argument(metavar="[MATRIX]", autocompletion=files(".toml"))] = None
    """A TOML file whose keys are the options below, such as trials = 5 and with = ["best", "exact"]."""
    scenario: shared.Scenarios = None
    model: Annotated[shared.Texts, typer.Option(autocompletion=named("models"))] = None
    """See `vlbench list models`; repeatable. [tiny on a CPU, 7B on CUDA]"""
    variant: shared.Variants = None
    tower: shared.Towers = None
    exactness: shared.Classes = None
    """With --tower, what the others claim: bit-exact, ulp or reassociated. [the last]"""
    ablate: Annotated[str | None, typer.Option(autocompletion=named("ablations"))] = None
    """Take the one variant apart: add-one, leave-one-out, cumulative or pairs. [of `best`]"""
    weights: shared.Weights = None
    device: shared.DeviceName = "auto"
    dtype: Annotated[shared.Texts, typer.Option(autocompletion=named("dtypes"))] = None
    """float32, bfloat16 or float16; repeatable. [float32 on a CPU, bfloat16 on CUDA]"""
    state: Annotated[shared.Texts, typer.Option(autocompletion=named("states"))] = None
    """Caches warm, cold or churn, or behind queued work on CUDA; repeatable. [warm]"""
    only: Annotated[shared.Texts, typer.Option("--filter")] = None
    """Cells to keep: variant=rope-*, point=count=4; repeatable."""
    seed: shared.Seed = 0
    threads: shared.Threads = 1
    trials: Annotated[int, typer.Option(min=1)] = 1
    """Processes for each group, all on one machine: 1 is a quick look, 5 give a verdict."""
    budget: Annotated[float | None, typer.Option(min=1)] = None
    """Seconds for a line: one trial of one group. [90 on a CPU, 300 on CUDA]"""
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE")] = None
    """Write the lines here, and print a table of the groups."""
    shards: Annotated[int | None, typer.Option(min=1)] = None
    """With a launcher below: in how many parts. [one for each group]"""
    github: Annotated[bool, typer.Option("--github")] = False
    """Print a workflow of GitHub that runs the plan of -o, in JSON, which is YAML."""
    buildkite: Annotated[bool, typer.Option("--buildkite")] = False
    """Print a pipeline of Buildkite that runs it."""
    slurm: Annotated[bool, typer.Option("--slurm")] = False
    """Print a script for sbatch that runs it as an array job."""
    json: Annotated[bool, typer.Option("--json")] = False
    """Print the lines as one JSON document."""
    force: shared.Force = False


@reports(formats=("none of the others",))
def plan(options: PlanOptions) -> Sheet | None:
    """Plan a run for many machines: a JSON line for each trial of each scenario, model and dtype. Nothing is measured.

    `vlbench run --plan FILE --shard i/n` runs a part of it, `vlbench merge` puts the parts together.

    - `vlbench plan matrix.toml -o plan.jsonl`
    - `vlbench plan matrix.toml -o plan.jsonl --slurm --shards 8`
    - `vlbench plan --scenario video --model qwen2.5-vl-7b --device cuda --trials 5 -o plan.jsonl`
    """
    from vlbench.matrix.plan import parse_filter

    parse_filter(options.only or [])  # before torch is imported
    from vlbench.api.planning import plan

    own, launcher = ("json", "shards", *LAUNCHERS), _launcher(options)
    found = plan(**{name: value for name, value in vars(options).items() if name not in own})
    if launcher:
        print(found.job(launcher, options.shards))
        if path := found.only_here:
            print(terminal(f"no other machine has {path}: install from a place that all can reach"), file=sys.stderr)
        return None
    if options.json or options.out is None:
        print(json.dumps(found._rows(), indent=1) if options.json else found.text.rstrip())
        return None
    from vlbench.export.planned import plan_parts

    first = found.record[0]
    told = f"{options.out} holds it; `vlbench run --plan {options.out} --shard 1/{first.groups}` runs one group"
    return Sheet("vlbench plan", [*plan_parts(found.record), Words(told, "dim")])


def _launcher(options: PlanOptions) -> str | None:
    """The one launcher that is asked for, if any. Raises UsageError for options that do not go together."""
    launchers = [name for name in LAUNCHERS if getattr(options, name)]
    if options.shards and not launchers:
        raise UsageError(f"--shards says nothing without --{', --'.join(LAUNCHERS)}; add one of them, or leave it out")
    whole = [*launchers, *["json"] * options.json]
    if len(whole) > 1:
        raise UsageError(f"--{' and --'.join(whole)}: each is all that is printed; give one of them")
    if launchers and options.out is None:
        raise UsageError(f"--{launchers[0]} prints what runs a plan that is kept; add --out plan.jsonl")
    return launchers[0] if launchers else None


class MergeOptions(shared.CommandOptions):
    """The options of `vlbench merge`."""

    READ: ClassVar = {"expect": shared.PLANS}
    WRITES = True

    results: Annotated[list[Path], typer.Argument(metavar="RESULTS...", autocompletion=files(".json"))]
    """One file of each part."""
    expect: Annotated[Path, typer.Option(metavar="FILE", autocompletion=files(".jsonl"))]
    """The plan that they are parts of."""
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE")] = None
    """Write one results file here."""
    force: shared.Force = False


@reports()
def merge(options: MergeOptions) -> Sheet:
    """Put the results of all parts of a plan into one results file, and show how far the machines are apart.

    A line that did not run, or ran twice, ends it with 6, as does a part of another plan, version or class of machine.

    - `vlbench merge --expect plan.jsonl vlbench-shard-*.json -o merged.json`
    """
    from vlbench.api.planning import merge
    from vlbench.export.results import results_sheet

    found = merge(**vars(options))
    parts = [Words(f"Results in {options.out}", "dim")] if options.out else []
    return results_sheet(found.record, after=parts)
