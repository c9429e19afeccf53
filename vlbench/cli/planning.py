"""From options to plans: which cell groups a run measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vlbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vlbench.cli.options import Target
    from vlbench.cli.towers import TowerTarget
    from vlbench.matrix.cells import CellFilter
    from vlbench.matrix.plan import Plan
    from vlbench.record.schema import Results, State
    from vlbench.workload import ScenarioPoint
    from vlbench.workload.seam_point import SeamPoint


def taken_apart(target: Target, mode: str) -> Target:
    from vlbench.matrix.ablation import Ablation, ablate
    from vlbench.towers.variants import parse_variant

    if mode not in list(Ablation):
        raise UsageError(f"--ablate: {mode!r} is not one of {', '.join(Ablation)}; choose one of them")
    if target.chosen and len(target.variants) != 2:
        raise UsageError(f"--ablate takes one variant apart and {len(target.variants) - 1} were given; name one")
    whole = target.variants[1] if target.chosen else parse_variant("best", target.config, target.device)
    return replace(target, variants=ablate(Ablation(mode), whole, target.config, target.device), left_out={})


def left_out(target: Target | TowerTarget) -> dict[str, list[str]]:
    """Flags that mean nothing here, by whoever would have had them: the matrix as a whole, or a preset."""
    found = {"the matrix": list(target.left_out)} if target.left_out else {}
    return found | {variant.name: list(variant.left_out) for variant in target.variants if variant.left_out}


def states_of(names: list[str] | None, device: str) -> tuple[State, ...]:
    from typing import cast, get_args

    from vlbench.record.schema import State

    chosen = tuple(dict.fromkeys(names or ["warm"]))
    for name in chosen:
        if name not in get_args(State):
            raise UsageError(f"--state: {name!r} is not one of {', '.join(get_args(State))}; choose one of them")
    if "behind" in chosen and device != "cuda":
        raise UsageError("--state behind queues work on a GPU, and there is none here; leave it out")
    return cast("tuple[State, ...]", chosen)


def make_plans(
    names: list[str],
    targets: Sequence[Target | TowerTarget],
    states: tuple[State, ...],
    only: list[str],
    seed: int,
    threads: int,
    weights: Path | None,
    images: list[Path] | None,
) -> list[Plan]:
    from vlbench.matrix.cells import parse_filter
    from vlbench.workload import load_scenario

    cells = parse_filter(only)
    pictures = tuple(images) if images else None
    plans: list[Plan] = []
    for name in names:
        chosen = load_scenario(name)
        for target in targets:
            points = chosen.points(target.device)
            found = plans_of(chosen.name, points, target, cells, seed, threads, states)
            plans += [replace(plan, weights=weights, own_weights=target.own_weights, images=pictures) for plan in found]
    return some(plans)


def plans_of(
    scenario: str,
    points: Iterable[ScenarioPoint | SeamPoint],
    target: Target | TowerTarget,
    cells: CellFilter,
    seed: int,
    threads: int,
    states: tuple[State, ...],
) -> list[Plan]:
    """One plan per point that passes the filter, of the variants that pass it."""
    from vlbench.matrix.plan import Plan

    model, dtype, device = target.model, target.dtype, target.device
    yardstick, *others = target.variants
    kept = [each for each in others if cells.keeps(variant=each.name)]
    references = {each.reference for each in kept} - {yardstick.name}
    kept = [each for each in others if each in kept or each.name in references]
    if others and not kept:
        return []
    return [
        Plan(point, model, dtype, device, [yardstick, *kept], seed, threads, states)
        for point in points
        if cells.keeps(scenario=scenario, point=point.label, model=model, dtype=dtype, device=device)
    ]


def some(plans: list[Plan]) -> list[Plan]:
    """The plans; UsageError where the filter left none."""
    if not plans:
        raise UsageError("--filter: no cell is left to measure; widen it")
    return plans


def read_earlier(path: Path, plans: list[Plan]) -> Results:
    """The earlier results; UsageError when they have nothing in common with what is planned."""
    from vlbench.record.files import read_results

    earlier = read_results(path)
    planned = {(plan.point.scenario, plan.point.label, plan.model, plan.dtype, plan.device) for plan in plans}
    if not planned & {group.key for group in earlier.groups}:
        had = "; ".join(" ".join(filter(None, group.key)) for group in earlier.groups)
        raise UsageError(f"--against {path}: it holds other measurements ({had}); choose the same scenario and model")
    return earlier
