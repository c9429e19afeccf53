"""`vlbench.run` and `vlbench.verify`: towers measured, or only checked."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

from vlbench.api.arguments import File, Names, TowerLike, Towers, called, path_of, paths, several, tower_names
from vlbench.api.at_scale import at_scale
from vlbench.api.defaults import defaults
from vlbench.api.diverging import Diverged, diverge, dumped
from vlbench.api.measured import Interrupted, Measured, Verified
from vlbench.api.measuring import Effort, Outcome, measure
from vlbench.api.results import Verdicts
from vlbench.comparing.compared import compare
from vlbench.comparing.contents import Contents, contents_of
from vlbench.errors import UsageError, resolved
from vlbench.export.progress import watcher
from vlbench.matrix.plan import CellFilter, Fed, Plan, Settings, parse_filter, plans_of
from vlbench.matrix.seams import fed_to_seams, refuse_beside_seams, seams_of_prompts
from vlbench.matrix.targets import Target, beside_reference, model_target, targets_of
from vlbench.record.files import read_results
from vlbench.record.journal import Journal
from vlbench.record.schema import CellGroup
from vlbench.towers.models import WHY_TINY
from vlbench.towers.preset_files import made_otherwise
from vlbench.trial.checks import run_checks
from vlbench.trial.limits import Limits
from vlbench.trial.session import Session
from vlbench.workload.library import BATCHES, batch_point, load_scenario
from vlbench.workload.photos import own_sizes
from vlbench.workload.scenario import ScenarioPoint

SCENARIO = "multi-image"
MOST_APART = 8
"""Rows that can have a process each."""
BUDGETS = {"cpu": 90.0, "cuda": 300.0}
"""Seconds of a run by kind of device. CUDA's is an estimate, not measured yet: at 7B the reference tower waits tens of
thousands of times a call on several photos, and each of the two processes of a quick look calls it some 45 times."""
FEW = (
    "On CUDA these few rows are measured where none are named: the reference tower waits 42,128 times on multi-image "
    "at 7B, and rows without host-seqlens wait about as often. Any other flag: --with FLAG (vlbench list flags); all "
    "of best, one by one: --ablate leave-one-out."
)


def run(
    scenario: Names = None,
    *,
    model: Names = None,
    variant: Names = None,
    tower: Towers = None,
    exactness: str | None = None,
    ablate: str | None = None,
    seam: Names = None,
    images: File | Iterable[File] | None = None,
    scenario_sizes: bool = False,
    weights: File | None = None,
    device: str = "auto",
    dtype: Names = None,
    state: Names = None,
    only: Names = None,
    plan: bool = False,
    seed: int = 0,
    threads: int = 1,
    trials: int = 1,
    budget: float | None = None,
    timeout: float = 900,
    isolate: bool = False,
    card: bool = True,
    counts: bool | None = None,
    out: File | None = None,
    resume: bool = False,
    force: bool = False,
    against: File | None = None,
    progress: bool | Callable[[str], None] = True,
    command: str | None = None,
) -> Measured:
    """Check variants of a vision tower against the reference tower, then time those that are right in shared rounds.

    Measured is each `scenario` x `model` x `dtype` in every `variant`; or each `tower` against the first; or each
    `seam` alone. `images` are pictures of yours, at their own sizes or (`scenario_sizes`) cropped to the scenario's.
    `plan` adds rows with their plan handed in; `counts` counts each at the size of a released model as on an H100: by
    default with the small model of a CPU and no budget. `isolate`: each tower in a process of its own. Arguments are
    options of `vlbench run --help` (`only` is `--filter`), one or a list, else [tool.vlbench]'s, else ours. `out` keeps
    results in a new file, or any with `force`. `progress` may be a function of a line; `command` made the results.
    Raises UsageError, and on Ctrl-C Interrupted, with the results so far. `budget` and `timeout` are seconds."""
    made_by = command or called("run", locals(), run)
    states, dtypes = several(state), several(dtype) or (None,)
    settings = Settings(seed, threads, tuple(states), path_of(weights), tuple(paths(images)) or None)
    scenario, seam, cells, asking = seams_of_prompts(several(scenario), several(seam), parse_filter(several(only)))
    if seam:
        refuse_beside_seams(asking, locals())
        fed = fed_to_seams(several(seam), [model_target(None, device, each, ()) for each in dtypes], states or ["warm"])
    else:
        ours = tower_names(tower or (None if model or variant or ablate else defaults().tower))
        named = several(model), ours, several(variant), ablate, exactness
        found = targets_of(*named, device, dtypes, settings.weights, few="variant" not in cells.patterns, plan=plan)
        fed = fed_to(found, scenario, settings.images, scenario_sizes)
    plans = _apart(plans_of(fed, cells, settings)) if isolate else plans_of(fed, cells, settings)
    earlier = _earlier(Path(against), plans, path_of(out)) if against else None
    effort = Effort(trials, budget or BUDGETS[plans[0].device], timeout, path_of(out), resume, force, card, isolate)
    usual = budget is None and not (seam or images) and _is_small(fed)
    wanted = counts or (usual and counts is None)
    also = at_scale(plans, scenarios_of(scenario), timeout, asked=bool(counts)) if wanted else None
    return _measured(measure(plans, effort, made_by, progress, also), effort.out, earlier, fed, settings.weights)


def verify(
    *,
    model: str | None = None,
    variant: Names = None,
    tower: Towers = None,
    exactness: str | None = None,
    against: TowerLike | File | None = None,
    where: bool = False,
    dump: File | None = None,
    weights: File | None = None,
    device: str = "auto",
    dtype: str | None = None,
    seed: int = 0,
    threads: int = 1,
    timeout: float = 900,
    progress: bool | Callable[[str], None] = True,
) -> Verified | Diverged:
    """Check the accuracy of `variant`, by default of every flag and preset, over batches of awkward grids.

    Or of each `tower` against the first; one alone is held against the reference tower of its model. Nothing is timed.
    With `where`, find the first stage, block and token at which each parts from the first, in this process; `against`
    is then the first, or the folder of a dump that the one `tower` is held against. `dump` is a new folder for the
    stages of the last of them. The arguments are the options of `vlbench verify --help`, one or a list; `timeout` is in
    seconds. Raises UsageError for what cannot be had as asked, and where the checking process gave nothing.
    """
    named, other = tower_names(tower), _against(against)
    if other and (not where or not named):
        lacks = "--tower" if where else "--where"
        raise UsageError(f"--against {other} is what --where holds a --tower against; add {lacks}, or leave it out")
    found = dumped(other)
    if found and len(named) > 1:
        raise UsageError(f"--against {other} is the dump of one tower; name one --tower")
    towers = named if found else [other, *named] if other else beside_reference(named)
    if len(towers) == 1 and not found and (where or dump is None):
        told = f"--tower {towers[0]}: nothing is known to hold it against; name a reference before it"
        raise UsageError(f"{told}, or give `model` in its vlbench.Tower")
    models = [] if model is None else [model]
    checkpoint = path_of(weights)
    dtypes = [dtype or (found.dtype if found else None)]
    (target,) = targets_of(models, towers, several(variant), None, exactness, device, dtypes, checkpoint)
    if where or dump is not None:
        settings = Settings(seed, threads, weights=checkpoint)
        with watcher(progress) as watch:
            return diverge(target, settings, found, other or "", path_of(dump), where, watch)
    first, *others = (batch_point(name) for name in BATCHES)
    (plan,) = plans_of([("verify", [first], target)], CellFilter({}), Settings(seed, threads, weights=checkpoint))
    with watcher(progress) as watch:
        if not named:
            watch.say(f"verifying flags of {target.model}")
        checked = replace(plan, also_check=tuple(others))
        session = Session([checked], Journal(None, ""), limits=Limits(timeout), watch=watch, run=run_checks)
        session.run(trials=1, seconds=0)
    (group,) = session.groups()
    if not group.trials:
        raise UsageError(f"nothing was checked: {group.lost[0]}; try a smaller --model")
    shown = group.model_copy(update={"point": f"{len(BATCHES)} batches"})
    return Verified(shown, tuple(BATCHES), tuple(_made_otherwise([group], target, sized=False)))


def _apart(plans: list[Plan]) -> list[Plan]:
    """The plans with each tower in a process of its own. Raises UsageError for what cannot be had so."""
    for plan in plans:
        if plan.states != ("warm",) or not isinstance(plan.point, ScenarioPoint):
            raise UsageError("--isolate times whole towers with warm caches; leave --state and --seam out")
        if (rows := len(plan.variants)) > MOST_APART:
            told = f"--isolate: {rows} rows are more than {MOST_APART}, each a process that holds the weights"
            raise UsageError(f"{told}; name fewer, by --with or --filter")
    return plans


def _against(given: TowerLike | File | None) -> str | None:
    """A tower by name, or a folder; None where nothing is given. Raises UsageError."""
    if given is None or isinstance(given, str):
        return given
    return str(given) if isinstance(given, PathLike) else tower_names(given)[0]


def fed_to(targets: Sequence[Target], scenario: Names, images: Sequence[Path] | None, cropped: bool) -> list[Fed]:
    """What is fed in to each target: scenarios, or the user's pictures as they are. Raises UsageError."""
    if cropped and not images:
        raise UsageError("--scenario-sizes is about --images; name them, or leave it out")
    if not images or cropped:
        scenarios = [load_scenario(name) for name in scenarios_of(scenario)]
        return [(one.name, one.points(target.device), target) for one in scenarios for target in targets]
    if scenario:
        told = "--images feeds your pictures at their own sizes, in place of a --scenario"
        raise UsageError(f"{told}; leave one of them out, or add --scenario-sizes to crop them to its sizes")
    point = own_sizes(images)
    return [(point.scenario, [point], target) for target in targets]


def _measured(
    outcome: Outcome, out: Path | None, earlier: Contents | None, fed: Sequence[Fed], weights: Path | None
) -> Measured:
    """What a run gives back. Raises Interrupted where a signal ended it."""
    notes = _notes(fed, weights, outcome.results.groups)
    verdicts = Verdicts(compare(earlier, out or outcome.results)) if earlier else None
    measured = Measured(outcome.results, out, notes, verdicts)
    if outcome.interrupted:
        raise Interrupted(measured)
    return measured


def _is_small(fed: Sequence[Fed]) -> bool:
    """Is all of it the small model that stands in on a CPU?"""
    return all(target.default_model and target.device == "cpu" for *_, target in fed)


def scenarios_of(given: Names) -> list[str]:
    """The scenarios that are fed in: those given, else [tool.vlbench]'s, else ours."""
    return several(given) or [defaults().scenario or SCENARIO]


def _earlier(path: Path, plans: Sequence[Plan], out: Path | None) -> Contents | None:
    """The earlier results, read before anything is measured. UsageError where nothing of them is planned."""
    if out and resolved(out, f"--out {out}") == resolved(path, str(path)):
        raise UsageError(f"--out {out}: it is what --against holds the results against; choose another name")
    earlier = read_results(path)
    planned = {(plan.point.scenario, plan.point.label, plan.model, plan.dtype, plan.device) for plan in plans}
    if not planned & {group.key for group in earlier.groups}:
        had = "; ".join(" ".join(filter(None, group.key)) for group in earlier.groups)
        raise UsageError(f"--against {path}: it holds other measurements ({had}); choose the same scenario and model")
    return contents_of(path)


def _made_otherwise(groups: Iterable[CellGroup], target: Target, *, sized: bool = True) -> Iterator[str]:
    """About preset files among the rows of a target that were chosen for something else."""
    width = target.config.hidden_size if target.config else None
    for group in groups:
        if (group.model, group.device, group.dtype) == (target.model, target.device, target.dtype):
            grids = group.trials[0].grids if group.trials and sized else ()
            patches = sum(t * h * w for t, h, w in grids)
            yield from made_otherwise([row.name for row in group.rows], group.device, width, patches)


def _notes(fed: Sequence[Fed], weights: Path | None = None, groups: Sequence[CellGroup] = ()) -> tuple[str, ...]:
    """What a reader of the results has to know, one sentence each."""
    targets = [target for _, _, target in fed]
    about = [WHY_TINY for target in targets if target.default_model and target.device == "cpu"]
    about += [FEW for target in targets if target.few]
    without = dict.fromkeys(name for target in targets for name in target.without_plan)
    about += [f"A plan handed in is not offered by {', '.join(without)}."] if without else []
    left_out = [
        f"Not applicable here and left out of {owner}: {', '.join(flags)}."
        for target in targets
        for owner, flags in target.all_left_out.items()
    ]
    if weights and not (weights / "config.json").is_file():
        left_out.append(
            f"{weights} has no config.json: whether its heads, windows and patches are those of {targets[0].model} is "
            "not checked; put the checkpoint's own beside its weights."
        )
    others = [note for target in targets for note in _made_otherwise(groups, target)]
    return tuple(dict.fromkeys([*about, *left_out, *others]))
