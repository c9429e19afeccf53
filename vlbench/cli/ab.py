"""`vlbench ab`: two revisions of a repository side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from vlbench.cli import options as shared
from vlbench.cli.reporting import reports
from vlbench.errors import UsageError
from vlbench.export.sheet import Sheet, compared

if TYPE_CHECKING:
    from vlbench.revisions.request import Request

SCENARIO = "multi-image"
COUNTED = "bfloat16"


class Options(shared.CommandOptions):
    """The arguments and options of `vlbench ab`."""

    UNREAD: ClassVar = {"counters=False": "gpu cudnn"}

    base: Annotated[str, typer.Argument()]
    """What to compare with: a commit, branch or tag, such as origin/main."""
    head: Annotated[str, typer.Argument()]
    """What to judge: a revision, or . for the working tree as it is."""
    tower: shared.Towers = None
    """A tower of the repository: package.module:factory (your code, which is run) or, in vlbench's own,
    qwen2.5-vl-7b+FLAG; repeatable. [our default model with `best`]"""
    scenario: shared.Scenarios = None
    """A shipped scenario or a .toml file; repeatable. [multi-image]"""
    exactness: shared.Classes = None
    """What HEAD of a factory has to keep to: bit-exact, ulp or reassociated. [the last]"""
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
    """Compare two revisions of the repository here: result first, then time in shared rounds, and exact counters.

    vlbench's own towers are loaded into one process under two names; any other package gets a process per revision, in
    lock-step, and pairs of them go on until they show a change of 5 %. Ends with 0 where HEAD is the same or better, 3
    where it is worse, 4 where a row could not have shown it, 5 where its result is wrong, 6 where something could not
    be measured, 2 for a wrong command.

    - `vlbench ab main .`
    - `vlbench ab origin/main HEAD --tower my_package.vision:make --markdown comment.md`
    """
    from contextlib import ExitStack
    from datetime import UTC, datetime

    from vlbench.export.progress import watcher
    from vlbench.record.destinations import check_results_file, reserved

    if options.out is not None:
        check_results_file(options.out, force=options.force)  # before torch is imported
    from vlbench.record.files import write_results
    from vlbench.record.schema import Results
    from vlbench.revisions.compare import compare
    from vlbench.towers.preset_files import made_otherwise
    from vlbench.trial.machine import fingerprint_of

    out, passes = options.out, options.allow_inconclusive
    request = _request(options)
    with ExitStack() as stack:
        if out is not None:
            stack.enter_context(reserved(out, force=options.force))
        watch = stack.enter_context(watcher(True))
        found = compare(options.base, options.head, request, watch, watch.say, allow_inconclusive=passes)
        if out is not None:
            here, now = fingerprint_of(request.device), datetime.now(UTC)
            command, groups, complete = shared.command_line(), found.groups, found.complete
            kept = Results(created=now, command=command, fingerprint=here, groups=groups, complete=complete)
            write_results(kept, out)
    notes = (*found.judged.notes, *made_otherwise(options.tower or (), request.device))
    return compared(found.judged.model_copy(update={"notes": notes}))


def _request(options: Options) -> Request:
    from vlbench.api.defaults import defaults
    from vlbench.implementations import optimized
    from vlbench.matrix.targets import find_exactness
    from vlbench.revisions.request import Request, Way, way_of
    from vlbench.towers.models import DEFAULTS, find_device, find_dtype
    from vlbench.towers.preset_files import spelled_out

    kind = find_device(options.device)
    model, usual = DEFAULTS[kind]
    usually = defaults()
    profile, cudnn = usually.answered_for(options.gpu, options.cudnn)
    named = options.tower or [usually.tower or f"{model}+best"]
    # what runs in another folder cannot read a file of this one
    towers = tuple(dict.fromkeys(each if ":" in each else spelled_out(each, optimized) for each in named))
    stated = find_exactness(options.exactness)
    if options.exactness is not None and all(way_of(each) is Way.ONE_PROCESS for each in towers):
        raise UsageError("--exactness is for a factory; leave it out, since each of our flags claims a class itself")
    return Request(
        towers=towers,
        scenarios=tuple(dict.fromkeys(options.scenario or [usually.scenario or SCENARIO])),
        device=kind,
        dtype=find_dtype(options.dtype or usual),
        counted_dtype=find_dtype(options.dtype or COUNTED),
        counters=options.counters,
        profile=profile,
        cudnn=cudnn,
        exactness=stated,
        seed=options.seed,
        threads=options.threads,
        trials=options.trials,
        budget=options.budget,
        timeout=options.timeout,
    )
