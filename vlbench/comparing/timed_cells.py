"""From the results of a run to what a baseline stores of times."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from vlbench.errors import UsageError
from vlbench.judging.stages import stage_shares
from vlbench.judging.summary import first_vote, ratios_by_id, trials_of, why_inaccurate, worst_accuracy
from vlbench.judging.verdict import Floors
from vlbench.judging.words import number_of
from vlbench.record.baseline import StoredTrial, TimedCell
from vlbench.record.files import why_unsealed
from vlbench.record.schema import NO_FLAGS, CellGroup, Results, Row, State
from vlbench.stats.paired import Estimate

CONDITIONS = {
    "grids": "fed other grids",
    "fed": "fed other pictures (digests)",
    "reference": "timed against another reference",
    "weights": "run with other weights",
    "weights_digest": "run with other weights (digests)",
    "flags": "run with other flags under one name",
    "package": "built by other packages",
    "exactness": "checked by another class of exactness",
    "seed": "drawn from another seed",
    "threads": "run with another number of threads",
    "slow_down": "slowed down by another share on purpose",
}
"""Fields of a timed cell that must agree, and what to say where one does not."""
_LATER, _UNKNOWN = ("fed", "weights_digest", "flags", "package"), ("", None)
TRIALS = Floors().k
"""The fewest that a vote can be held against."""


def timed_cells(
    results: Results, source: str, *, scenarios: Sequence[str] = (), floor: float = 0.01, threshold: float = 0.05
) -> tuple[TimedCell, ...]:
    """A cell for each variant and state of `results`. `source` is the file, for messages.

    Results know a scenario by its name alone: `scenarios` are the paths of those that are not shipped, and are stored
    as given. Trials that were run to confirm a suspect are left out, for they were chosen by what the others said.
    Raises UsageError for a row that cannot be gated on: half a baseline guards nothing.
    """
    if reason := why_unsealed(results):
        raise UsageError(f"{source}: {reason}, and nobody gates on figures that could be edited; measure again")
    if not results.complete:
        raise UsageError(
            f"{source}: the run was interrupted, or had no time for all of it; go on with `vlbench run --resume`"
        )
    cells = []
    for group in results.groups:
        scenario = _scenario(group, source, scenarios)
        if len(group.rows) == 1:
            raise UsageError(
                f"{source}: {group.model} was timed alone, and times are stored as ratios; measure it against another"
            )
        if group.images:
            raise UsageError(
                f"{source}: it was fed pictures of its own ({group.images[0]}), which a gate would not find; measure "
                "without --images"
            )
        for row in group.rows[1:]:
            _refuse(group, row, source)
            for state in group.states:
                found = cell_of(group, row, state, scenario, floor=floor, threshold=threshold)
                if found is None or len(found.trials) < TRIALS:
                    count = len(found.trials) if found else 0
                    raise UsageError(
                        f"{source}: {row.name} was timed in {number_of(count, 'trial')}, and a vote needs {TRIALS}; "
                        "measure with `vlbench run --trials 5`"
                    )
                cells.append(found)
    if not cells:
        raise UsageError(f"{source}: it holds no times; measure with `vlbench run --trials 5`")
    return tuple(cells)


def cell_of(
    group: CellGroup, row: Row, state: State, scenario: str, *, floor: float = 0.01, threshold: float = 0.05
) -> TimedCell | None:
    """What the first vote's trials say of a row; None where it was not timed in that state."""
    first = first_vote(group)
    variants = trials_of(first, row.name)
    times = [median(variant.timings[state].seconds) for variant in variants if state in variant.timings]
    if not (ratios := ratios_by_id(group, row, state)):
        return None
    return TimedCell(
        variant=row.name,
        reference=row.reference,
        scenario=scenario,
        point=group.point,
        grids=first.trials[0].grids,
        model=group.model,
        dtype=group.dtype,
        device=group.device,
        state=state,
        seed=group.seed,
        threads=group.threads,
        weights=group.weights,
        exactness=row.exactness,
        flags=row.flags,
        package=row.tower or "",
        fed=first.trials[0].fed_digest,
        weights_digest=first.trials[0].weights_digest,
        slow_down=row.slow_down,
        trials=tuple(StoredTrial(id=one, **vars(each)) for one, each in ratios),
        seconds=median(times),
        stages=stage_shares(first.trials, row.name, row.reference) if state == "warm" else {},
        counts=next((variant.counts for variant in variants if variant.counts), None),
        floor=floor,
        threshold=threshold,
    )


def stored_trials(cell: TimedCell) -> list[Estimate]:
    """The trials of a cell as the vote takes them."""
    return [Estimate(**trial.model_dump(exclude={"id"})) for trial in cell.trials]


def difference(before: TimedCell, after: TimedCell) -> str | None:
    """What two cells of one name do not have in common, in words; what only one of them knows is not held against it.

    Files before schema 3 know no digests and no flags.
    """
    for name, words in CONDITIONS.items():
        here, there = getattr(before, name), getattr(after, name)
        if here != there and not (name in _LATER and (here in _UNKNOWN or there in _UNKNOWN)):
            return f"the two were {words}: {_words(here)} and {_words(there)}"
    return None


def _words(value: object) -> str:
    """A condition, in short."""
    if isinstance(value, tuple):
        return f"{len(value)} items" if value and not isinstance(value[0], str) else "+".join(value) or "none"
    return f"{value:.12}" if isinstance(value, str) and len(value) == 64 else str(value)


def _scenario(group: CellGroup, source: str, given: Sequence[str]) -> str:
    """What `--scenario` takes to feed the same again."""
    from vlbench.workload.library import scenario_names

    if group.scenario.startswith("seam "):
        raise UsageError(f"{source}: it holds a seam alone, and baselines hold towers; measure with --scenario")
    for path in given:
        if Path(path).suffix in (".toml", ".jsonl") and Path(path).stem == group.scenario:
            return path
    if group.scenario not in scenario_names():
        raise UsageError(
            f"{source}: its scenario {group.scenario!r} is not a shipped one; "
            f"name its file, --scenario {group.scenario}.toml"
        )
    return group.scenario


def _refuse(group: CellGroup, row: Row, source: str) -> None:
    """UsageError for a row without a right result, or that its name does not make again."""
    if row.plan != "inside":
        raise UsageError(f"{source}: {row.name} has its plan handed in, and a gate hands none in; leave out --plan")
    if wrong := why_inaccurate(worst_accuracy(trials_of(group, row.name))):
        raise UsageError(f"{source}: {row.name} is inaccurate ({wrong}); mend it or leave it out of the run")
    for variant in trials_of(first_vote(group), row.name):
        if reason := variant.not_measured:
            raise UsageError(f"{source}: {row.name} was not measured ({reason}); mend it or leave it out of the run")
    if row.reference not in (group.rows[0].name, NO_FLAGS) or row.slow_down:
        raise UsageError(
            f"{source}: {row.name} is a step of an ablation or of a self-test; measure variants by name, with --variant"
        )
