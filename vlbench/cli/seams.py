"""From `--seam` to plans: each seam alone, all its ways, over its ladder of sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vlbench.cli.options import resolve
from vlbench.cli.planning import plans_of, some, states_of
from vlbench.errors import UsageError

if TYPE_CHECKING:
    from vlbench.cli.options import Target
    from vlbench.matrix.plan import Plan
    from vlbench.record.schema import State
    from vlbench.workload.seam_case import SeamCase


def seam_names(incomplete: str) -> list[str]:
    """The names that `--seam` takes, for the shell's completion."""
    from vlbench.workload.seams import seam_cases

    return [name for name in seam_cases() if name.startswith(incomplete)]


def refuse_beside_seams(**options: object) -> None:
    """UsageError for an option that says what a whole tower is fed or made of."""
    for name, value in options.items():
        if value:
            raise UsageError(
                f"--{name} is about a whole tower, and --seam measures one seam alone, all its ways at its own sizes; "
                "leave one of the two out"
            )


def seam_plans(
    names: list[str],
    device: str,
    dtypes: list[str | None],
    states: list[str] | None,
    only: list[str],
    seed: int,
    threads: int,
) -> tuple[list[Target], list[Plan]]:
    """One target per seam and dtype, and one plan per size of each.

    Raises UsageError for a seam that does not exist or needs a GPU where there is none, and for states of caches that
    no seam has.
    """
    from vlbench.matrix.cells import parse_filter
    from vlbench.workload.seam_point import SeamPoint
    from vlbench.workload.seams import find_seam_case

    cells = parse_filter(only)
    targets, plans = [], []
    for name in dict.fromkeys(names):
        case = find_seam_case(name)
        for dtype in dtypes:
            target = _target(case, resolve(None, device, dtype, None))
            points = [SeamPoint(seam=case.name, size=size, label=label) for label, size in case.sizes.items()]
            chosen = _states(states, target.device)
            plans += plans_of(f"seam {case.name}", points, target, cells, seed, threads, chosen)
            targets.append(target)
    return targets, some(plans)


def _target(case: SeamCase, target: Target) -> Target:
    from vlbench.matrix.seams import seam_variants

    if case.needs_gpu and target.device != "cuda":
        raise UsageError(
            f"--seam {case.name} measures copies to a GPU, and on a {target.device} there are none; leave it out"
        )
    variants, left_out = seam_variants(case.seams, target.config, target.device)
    return replace(target, variants=variants, left_out=left_out)


def _states(names: list[str] | None, device: str) -> tuple[State, ...]:
    for name in names or []:
        if name in ("cold", "churn"):
            raise UsageError(f"--state {name} is about a tower's caches, and a seam alone has none; leave it out")
    return states_of(names, device)
