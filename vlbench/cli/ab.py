"""`vlbench ab`: two revisions of a repository, or two Python environments, side by side."""

from pathlib import Path
from typing import Annotated

import typer

from vlbench.api.arguments import UNREAD
from vlbench.cli import options as shared
from vlbench.cli.completion import files, towers
from vlbench.cli.reporting import reports
from vlbench.export.sheet import Sheet, compared


class Options(shared.CommandOptions):
    """The arguments and options of `vlbench ab`; those of `vlbench.ab` have the same names."""

    UNREAD = UNREAD["ab"]

    base: Annotated[str | None, typer.Argument()] = None
    """What to compare with: a commit, branch or tag, such as origin/main."""
    head: Annotated[str | None, typer.Argument()] = None
    """What to judge: a revision, or . for the working tree as it is."""
    python: Annotated[shared.Texts, typer.Option(autocompletion=files())] = None
    """In place of revisions: the interpreter of another environment, as HEAD beside this one; given twice, BASE and
    HEAD. Both run this vlbench with the packages of their own; vlbench need not be there."""
    tower: shared.Towers = None
    """A tower of the repository: package.module:factory (your code, which is run) or, in vlbench's own,
    qwen2.5-vl-7b+FLAG; with --python any, such as hf:qwen2.5-vl-7b; repeatable. [our default model with `best`]"""
    head_tower: Annotated[str | None, typer.Option(autocompletion=towers)] = None
    """With --python: what HEAD makes in place of --tower, such as vllm:qwen2.5-vl-7b."""
    scenario: shared.Scenarios = None
    """A shipped scenario or a .toml file; repeatable. [multi-image]"""
    exactness: shared.Classes = None
    """What HEAD of a factory or of another environment has to keep to: bit-exact, ulp or reassociated. [the last]"""
    device: shared.DeviceName = "auto"
    dtype: shared.UsualDtype = None
    counters: bool = True
    """Count what each asks of a GPU, too."""
    gpu: shared.Gpu = None
    cudnn: shared.Cudnn = None
    seed: shared.Seed = 0
    threads: shared.Threads = 1
    trials: Annotated[int, typer.Option(min=1)] = 5
    """Processes: 5 give a verdict. In lock-step pairs of them, so many at a time."""
    budget: Annotated[float, typer.Option(min=1)] = 240
    """Seconds for all of it, at most; half of what counting leaves is to confirm what is called."""
    timeout: shared.Timeout = 900
    allow_inconclusive: shared.AllowInconclusive = False
    out: Path | None = None
    """Write every sample into this results file."""
    force: shared.Force = False


@reports()
def ab(options: Options) -> Sheet:
    """Compare two revisions of the repository here, or two environments: result first, then time and exact counters.

    vlbench's own towers of two revisions are loaded into one process under two names; any other package, and each
    environment, gets a process, in lock-step, and pairs of them go on until they show a change of 5 %. Ends with 0
    where HEAD is the same or better, 3 where it is worse, 4 where a row could not have shown it, 5 where its result is
    wrong, 6 where something could not be measured, 2 for a wrong command.

    - `vlbench ab main .`
    - `vlbench ab origin/main HEAD --tower my_package.vision:make --markdown comment.md`
    - `vlbench ab --python ../other/.venv/bin/python --tower hf:qwen2.5-vl-7b`
    """
    from vlbench.record.destinations import check_results_file

    if options.out is not None:
        check_results_file(options.out, force=options.force)  # before torch is imported
    from vlbench.api.side_by_side import ab

    return compared(ab(**vars(options), command=shared.command_line()).record)
