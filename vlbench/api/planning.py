"""`vlbench.plan`, `vlbench.run_plan` and `vlbench.merge`: one run on many machines."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vlbench.api.arguments import File, Names, Towers, called, check_numbers, path_of, paths, several, tower_names
from vlbench.api.defaults import defaults
from vlbench.api.measured import Interrupted, Measured
from vlbench.api.measuring import Effort, as_measured, measure
from vlbench.api.results import Result, Rows
from vlbench.api.running import BUDGETS, fed_to, scenarios_of
from vlbench.errors import IncomparableError, UsageError, check_choice
from vlbench.export.ci_jobs import LAUNCHERS, install_command, job_text
from vlbench.export.progress import watcher
from vlbench.gating.init import Place
from vlbench.gating.installs import Installs, installs
from vlbench.implementations.optimized import OPTIMIZATIONS
from vlbench.judging.words import number_of
from vlbench.matrix.plan import Plan, Settings, parse_filter, plans_of
from vlbench.matrix.shards import by_group, merged, shard_groups
from vlbench.matrix.targets import targets_of
from vlbench.record.base import Amount, Count, Record, fitting, twice_in
from vlbench.record.destinations import check_output, check_results_file
from vlbench.record.files import read_results, write_results, write_whole
from vlbench.record.plan_file import MATRIX, Needs, PlanLine, plan_text, read_plan, sealed
from vlbench.record.schema import Results
from vlbench.record.shards import ShardRun
from vlbench.trial.bracket import bracket, machine_name
from vlbench.trial.identity import job_digest
from vlbench.trial.machine import fingerprint_of
from vlbench.untrusted.files import read_toml
from vlbench.version import __version__

PLAN_FILE = "plan.jsonl"
"""What a plan is called where it has no name."""
SHORT = {"with": "variant", "filter": "only"}
"""Keys that have another name in Python."""


class Matrix(Record):
    """What is planned: options of `vlbench run` by name."""

    scenario: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    variant: tuple[str, ...] = ()
    tower: tuple[str, ...] = ()
    exactness: str | None = None
    ablate: str | None = None
    weights: str | None = None
    device: str = "auto"
    dtype: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    seed: Count = 0
    threads: Count = 1
    trials: Count = 1
    budget: Amount | None = None

    def plans(self, *, elsewhere: bool = False) -> list[Plan]:
        """A plan for each group, with the confidence that the trials ask for. Raises UsageError."""
        weights = path_of(self.weights)
        cells = parse_filter(list(self.only))
        found = targets_of(
            self.model,
            self.tower,
            self.variant,
            self.ablate,
            self.exactness,
            self.device,
            self.dtype or (None,),
            weights,
            few="variant" not in cells.patterns,
            elsewhere=elsewhere,
        )
        fed = fed_to(found, self.scenario, None, cropped=False)
        settings = Settings(self.seed, self.threads, self.state, weights)
        return as_measured(plans_of(fed, cells, settings), self.trials)


@dataclass(frozen=True, repr=False)
class Planned(Result):
    """A plan; a row for each of its lines."""

    record: tuple[PlanLine, ...]
    path: Path | None = None
    """Where it was written, if it was."""

    @property
    def title(self) -> str:
        """What it is, in one line."""
        first = self.record[0]
        return f"plan {first.plan}: {number_of(first.groups, 'group')}, {number_of(first.trials, 'trial')} of each"

    @property
    def text(self) -> str:
        """The lines as a file has them."""
        return plan_text(list(self.record))

    def job(self, launcher: str, shards: int | None = None) -> str:
        """What "github", "buildkite" or "slurm" runs in so many parts, by default one for each group.

        Raises UsageError.
        """
        check_choice("launcher", launcher, LAUNCHERS)
        lines, install = list(self.record), install_command(_installed().arguments)
        return job_text(launcher, lines, str(self.path or PLAN_FILE), shards or lines[0].groups, install)

    @property
    def only_here(self) -> str:
        """A path from which a job would install vlbench, and that no other machine can reach; "" where it can."""
        return _installed().only_here

    def _rows(self) -> Rows:
        return [line.model_dump(mode="json") for line in self.record]


def plan(
    matrix: File | None = None,
    *,
    scenario: Names = None,
    model: Names = None,
    variant: Names = None,
    tower: Towers = None,
    exactness: str | None = None,
    ablate: str | None = None,
    weights: File | None = None,
    device: str = "auto",
    dtype: Names = None,
    state: Names = None,
    only: Names = None,
    seed: int = 0,
    threads: int = 1,
    trials: int = 1,
    budget: float | None = None,
    out: File | None = None,
    force: bool = False,
) -> Planned:
    """Plan a run for many machines: a line for each trial of each scenario x model x dtype. Nothing is measured.

    `matrix` is a TOML file whose keys are the other arguments, which have the meaning that they have in `run`; `budget`
    is in seconds for a line. A `device` that is named need not be here. `out` is written, with `force` over a file that
    is there. Raises UsageError.
    """
    if out is not None:
        check_output(Path(out), "--out", force=force)
    given = {name: value for name, value in locals().items() if name in Matrix.model_fields}
    lists = ("scenario", "model", "variant", "dtype", "state", "only")
    given |= {name: several(given[name]) for name in lists} | {"tower": tower_names(tower)}
    given["weights"] = None if weights is None else str(weights)
    asked = fitting(Matrix, given, "the plan", "give another") if matrix is None else _read_matrix(Path(matrix))
    check_numbers({name: getattr(asked, name) for name in ("seed", "threads", "trials")}, "--")
    check_numbers({} if asked.budget is None else {"budget": asked.budget}, "--")
    usual = defaults().tower if not (asked.tower or asked.model or asked.variant or asked.ablate) else None
    named = {"scenario": tuple(scenarios_of(asked.scenario))} | ({"tower": (usual,)} if usual else {})
    asked = asked.model_copy(update=named)
    plans = asked.plans(elsewhere=True)
    asked = asked.model_copy(update={"device": plans[0].device, "budget": asked.budget or BUDGETS[plans[0].device]})
    goal = path_of(out)
    lines = sealed(list(_lines(plans, asked, str(goal or PLAN_FILE))))
    if goal is not None:
        write_whole(goal, plan_text(lines))
    return Planned(tuple(lines), goal)


def run_plan(
    plan: File,
    shard: str = "1/1",
    *,
    out: File | None = None,
    timeout: float = 900,
    card: bool = True,
    resume: bool = False,
    force: bool = False,
    progress: bool | Callable[[str], None] = True,
    command: str | None = None,
) -> Measured:
    """Run part `shard`, such as "2/4", of a file that `plan` wrote: whole groups, every fourth from the second.

    It begins and ends with the same A/A cell and, with `card`, the machine's card. `out` keeps results, and with
    `resume` an interrupted run goes on, on the machine where it began; `timeout` is in seconds for a trial. Raises
    UsageError, IncomparableError where the plan would not be the same here, and Interrupted.
    """
    made_by = command or called("run_plan", locals(), run_plan)
    lines, goal = read_plan(Path(plan)), path_of(out)
    groups = shard_groups(shard, lines[0].groups)
    if goal is not None:
        check_results_file(goal, resume=resume, force=force)
    plans, asked = plans_here(Path(plan), lines)
    chosen = [plans[number - 1] for number in groups]
    device = plans[0].device
    machine = machine_name(fingerprint_of(device))
    seconds = (asked.budget or 0.0) * asked.trials * len(chosen)
    part = f"{shard} of plan {lines[0].plan} on {machine}"
    effort = Effort(asked.trials, seconds, timeout, goal, resume, force, card=False, shard=part)
    with watcher(progress) as watch:
        begin = bracket(device, card=card, watch=watch)

    def finish(results: Results) -> Results:
        end = None
        if results.complete:
            with watcher(progress) as watch:
                end = bracket(device, card=card, watch=watch)
        run = ShardRun(plan=lines[0].plan, shard=shard, groups=tuple(groups), machine=machine, begin=begin, end=end)
        return results.model_copy(update={"shards": (run,), "machine": begin.card})

    outcome = measure(chosen, effort, made_by, progress, finish=finish)
    measured = Measured(outcome.results, goal)
    if outcome.interrupted:
        raise Interrupted(measured)
    return measured


def merge(expect: File, results: File | Iterable[File], *, out: File | None = None, force: bool = False) -> Measured:
    """Put the `results` of all parts of the plan `expect` into those of one run, which is written to `out`.

    A line that did not run is an error that names it, as is one that ran twice. All trials of a group are of one
    machine, so no ratio is between two. Raises UsageError, and IncomparableError for a part of another plan, version or
    class of machine, or one that is not complete.
    """
    lines, named = read_plan(Path(expect)), paths(results)
    if out is not None:
        check_results_file(Path(out), force=force)
    if not named:
        raise UsageError("no results are named; give what `vlbench run --plan FILE --shard i/n` wrote")
    if twice := twice_in(path.resolve() for path in named):
        raise UsageError(f"{twice[0]} is named twice; name each file once")
    whole = merged(Path(expect), lines, [(path, read_results(path)) for path in named])
    told = called("merge", {"expect": str(expect), "results": list(map(str, named))}, merge)
    whole = Results.model_validate(dict(whole.model_copy(update={"command": told}))).with_checksum()
    if out is not None:
        write_results(whole, Path(out))
    return Measured(whole, path_of(out))


def _installed() -> Installs:
    here = Place.here()
    return installs(here.folder, here.top)


def _read_matrix(path: Path) -> Matrix:
    content = read_toml(path, MATRIX)
    several_of = {name for name, field in Matrix.model_fields.items() if field.default == ()}
    given = {SHORT.get(name, name): value for name, value in content.items()}
    given = {name: [value] if name in several_of and isinstance(value, str) else value for name, value in given.items()}
    return fitting(Matrix, given, path, f"its keys are {', '.join(Matrix.model_fields)}")


def _lines(plans: Sequence[Plan], asked: Matrix, path: str) -> Iterable[PlanLine]:
    arguments = asked.model_dump(mode="json", exclude_defaults=True)
    for number, each in enumerate(plans):
        for trial in range(asked.trials):
            yield PlanLine(
                line=number * asked.trials + trial + 1,
                lines=len(plans) * asked.trials,
                group=number + 1,
                groups=len(plans),
                scenario=each.point.scenario,
                point=each.point.label,
                model=each.model,
                dtype=each.dtype,
                trial=trial + 1,
                trials=asked.trials,
                rows=tuple(row.name for row in each.variants),
                job=job_digest(each),
                seconds=asked.budget or 0.0,
                needs=Needs(device=each.device, packages=_packages(each)),
                vlbench=__version__,
                asked=arguments,
                command=f"vlbench run --plan {path} --shard {number + 1}/{len(plans)}",
            )


def _packages(each: Plan) -> tuple[str, ...]:
    """Where rows come from that are not ours, and what our own kernels on a GPU need."""
    flags = {flag for row in each.variants for flag in row.flags or ()}
    kernels = each.device == "cuda" and any(OPTIMIZATIONS[flag].traffic for flag in flags if flag in OPTIMIZATIONS)
    return tuple(sorted({row.source for row in each.variants if row.source} | ({"triton"} if kernels else set())))


def plans_here(path: Path, lines: Sequence[PlanLine], *, elsewhere: bool = False) -> tuple[list[Plan], Matrix]:
    """The plans of all groups, made here, for a device that may be `elsewhere`, and the arguments of the plan.

    Raises IncomparableError where they are not what was planned.
    """
    if lines[0].vlbench != __version__:
        told = f"{path}: was planned by vlbench {lines[0].vlbench}, and this is {__version__}"
        raise IncomparableError(f"{told}; install that one, or print the plan again")
    asked = fitting(Matrix, lines[0].asked, path, "print the plan again")
    plans = asked.plans(elsewhere=elsewhere)
    first = [group[0] for group in by_group(lines).values()]
    for each, line in zip(plans, first, strict=False):
        if job_digest(each) != line.job:
            raise IncomparableError(f"{path}: {line.named} would be something else here: its files differ; copy them")
    if len(plans) != len(first):
        raise IncomparableError(f"{path}: has {len(first)} groups, which are {len(plans)} here; copy its files")
    return plans, asked
