"""One cell: a point of a scenario and a target, as a plan of their own."""

from __future__ import annotations

from pathlib import Path

from vlbench.errors import UsageError
from vlbench.matrix.plan import Plan
from vlbench.matrix.targets import Target
from vlbench.workload.library import load_scenario


def single_plan(
    scenario: str, point: str | None, target: Target, *, seed: int = 0, threads: int = 1, weights: Path | None = None
) -> Plan:
    """The plan of one point, which may be left out where there is but one. Raises UsageError."""
    points = {each.label: each for each in load_scenario(scenario).points(target.device)}
    if point is None and len(points) > 1:
        raise UsageError(f"--scenario {scenario} has the points {', '.join(points)}; choose one with --point")
    if point is not None and point not in points:
        raise UsageError(f"--point: {scenario} has no point {point!r}; it has {', '.join(map(repr, points))}")
    chosen = next(iter(points.values())) if point is None else points[point]
    return Plan(
        chosen,
        target.model,
        target.dtype,
        target.device,
        target.variants,
        seed=seed,
        threads=threads,
        weights=weights,
        own_weights=target.own_weights,
    )
