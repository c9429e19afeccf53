"""`vlbench.ab`: two revisions of a repository, or two Python environments, side by side."""

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vlbench.api.arguments import File, Names, Towers, called, path_of, several, tower_names
from vlbench.api.defaults import defaults
from vlbench.api.results import Verdicts
from vlbench.errors import UsageError
from vlbench.export.progress import watcher
from vlbench.implementations import optimized
from vlbench.matrix.targets import find_exactness
from vlbench.record.destinations import check_results_file, reserved
from vlbench.record.files import write_results
from vlbench.record.schema import Device, Results
from vlbench.revisions.compare import Compared, compare
from vlbench.revisions.environments import asked
from vlbench.revisions.request import Request, Way, between, way_of
from vlbench.revisions.sides import Sides
from vlbench.towers.models import DEFAULTS, find_device, find_dtype
from vlbench.towers.preset_files import made_otherwise, spelled_out
from vlbench.trial.machine import fingerprint_of

SCENARIO = "multi-image"
COUNTED = "bfloat16"


def ab(
    base: str | None = None,
    head: str | None = None,
    *,
    python: Names = None,
    tower: Towers = None,
    head_tower: str | None = None,
    scenario: Names = None,
    exactness: str | None = None,
    device: str = "auto",
    dtype: str | None = None,
    counters: bool = True,
    gpu: str | None = None,
    cudnn: str | None = None,
    seed: int = 0,
    threads: int = 1,
    trials: int = 5,
    budget: float = 240,
    timeout: float = 900,
    allow_inconclusive: bool = False,
    out: File | None = None,
    force: bool = False,
    progress: bool | Callable[[str], None] = True,
    command: str | None = None,
) -> Verdicts:
    """Judge `head` by `base`, two revisions of the repository in the current folder: result, time and counters.

    Or, with `python`, one environment by another: an interpreter by this one, or the second of two by the first. Both
    run this very vlbench with packages of their own, and `head_tower` is what the second makes in place of `tower`.

    Arguments are options of `vlbench ab --help`, one or a list. `out` keeps every sample in a new file, or any with
    `force`; `command` made it. `progress` may be a function of a line; `budget` and `timeout` are seconds. Raises
    UsageError for a revision, an interpreter or a tower that there is not.
    """
    made_by, goal = command or called("ab", locals(), ab), path_of(out)
    pythons = _pythons(several(python), base, head)
    if goal is not None:
        check_results_file(goal, force=force)
    chosen = scenario, exactness, device, dtype, gpu, cudnn
    numbers: dict[str, Any] = {"seed": seed, "threads": threads, "trials": trials, "budget": budget, "timeout": timeout}
    request = _request(pythons, tower, head_tower, *chosen, counters=counters, **numbers)
    sides: AbstractContextManager[Sides]
    sides = (
        asked(pythons, head_tower, timeout, request.device)
        if pythons
        else between(str(base), str(head), request.towers)
    )
    with ExitStack() as stack:
        if goal is not None:
            stack.enter_context(reserved(goal, force=force))
        watch = stack.enter_context(watcher(progress))
        found = compare(sides, request, watch, watch.say, allow_inconclusive=allow_inconclusive)
        if goal is not None:
            _keep(found, goal, made_by, request.device)
    notes = (*found.judged.notes, *made_otherwise(tower_names(tower), request.device))
    return Verdicts(found.judged.model_copy(update={"notes": notes}))


def _keep(found: Compared, goal: Path, made_by: str, device: Device) -> None:
    """Write every sample."""
    here, now, groups = found.pair.came_from(fingerprint_of(device)), datetime.now(UTC), found.groups
    write_results(Results(created=now, command=made_by, fingerprint=here, groups=groups, complete=found.complete), goal)


def _request(
    pythons: Sequence[str],
    tower: Towers,
    head_tower: str | None,
    scenario: Names,
    exactness: str | None,
    device: str,
    dtype: str | None,
    gpu: str | None,
    cudnn: str | None,
    **numbers: Any,
) -> Request:
    """What is measured. Raises UsageError."""
    kind = find_device(device)
    model, usual = DEFAULTS[kind]
    usually = defaults()
    profile, cudnn_version = usually.answered_for(gpu, cudnn)
    named = tower_names(tower) or [usually.tower or f"{model}+best"]
    # what runs in another folder cannot read a file of this one
    towers = tuple(dict.fromkeys(each if ":" in each else spelled_out(each, optimized) for each in named))
    if head_tower and len(towers) > 1:
        told = f"it stands beside one --tower, and {len(towers)} are named"
        raise UsageError(f"--head-tower {head_tower}: {told}; name one")
    stated = find_exactness(exactness)
    if exactness is not None and not pythons and all(way_of(each) is Way.ONE_PROCESS for each in towers):
        raise UsageError("--exactness is for a factory; leave it out, since each of our flags claims a class itself")
    return Request(
        towers=towers,
        scenarios=tuple(dict.fromkeys(several(scenario) or [usually.scenario or SCENARIO])),
        device=kind,
        dtype=find_dtype(dtype or usual),
        counted_dtype=find_dtype(dtype or COUNTED),
        profile=profile,
        cudnn=cudnn_version,
        exactness=stated,
        **numbers,
    )


def _pythons(named: Sequence[str], base: str | None, head: str | None) -> list[str]:
    """The interpreters of both sides; none where two revisions are compared. Raises UsageError."""
    if not named and (base is None or head is None):
        raise UsageError("two sides are compared; name two revisions, such as main HEAD, or give --python")
    if len(named) > 2:
        raise UsageError(f"--python: {len(named)} interpreters are named, and two are compared; name one or two")
    return [sys.executable, *named] if len(named) == 1 else list(named)
