"""Two sets of runs become a table of verdicts; what cannot be compared becomes a row that says why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from vlbench.errors import UsageError
from vlbench.judging.unpaired import RunFloors, compare_runs, side
from vlbench.judging.verdict import Judgement, inaccurate, missing
from vlbench.record.runs import Better, Metric, Run

Conditions = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Row:
    """One metric before and after. Figures are geometric means over runs, in `unit`."""

    name: str
    judgement: Judgement
    unit: str = ""
    better: Better = Better.LOWER
    before: float | None = None
    after: float | None = None


def compare(before: Sequence[Run], after: Sequence[Run], floors: RunFloors, metrics: Sequence[str] = ()) -> list[Row]:
    """A row for each metric under each set of conditions that either side has, in the order they are met.

    `metrics` are name patterns; without them every metric is judged. Raises `UsageError` if a pattern fits nothing.
    """
    names = {name for run in (*before, *after) for name in run.metrics}
    for pattern in metrics:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UsageError(f"no metric fits {pattern!r}; there are {', '.join(sorted(names))}")
    old, new = _by_conditions(before), _by_conditions(after)
    if len(old) == len(new) == 1 and old.keys() != new.keys():
        difference = _difference(next(iter(old)), next(iter(new)))
        return [Row("all metrics", missing(f"another workload or machine: {difference}"))]
    rows: list[Row] = []
    for conditions in {**old, **new}:
        label = " ".join(f"{key}={value}" for key, value in conditions) if len({**old, **new}) > 1 else ""
        rows += _rows(label, old.get(conditions, []), new.get(conditions, []), floors, metrics)
    return rows


def _rows(label: str, old: list[Run], new: list[Run], floors: RunFloors, patterns: Sequence[str]) -> list[Row]:
    if not (old and new):
        return [Row(label, missing(f"only the runs {'after' if new else 'before'} have these conditions"))]
    names = {name: None for run in (*old, *new) for name in run.metrics}
    wanted = [name for name in names if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)]
    return [_row(f"{label} {name}".strip(), name, old, new, floors) for name in wanted]


def _row(title: str, name: str, old: list[Run], new: list[Run], floors: RunFloors) -> Row:
    absent = [run.source for run in (*old, *new) if name not in run.metrics]
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        return Row(title, missing(f"{absent[0]}{more} does not have it; was it renamed?"))
    before, after = [run.metrics[name] for run in old], [run.metrics[name] for run in new]
    first, every = before[0], [*before, *after]
    for metric in every:
        if (metric.unit, metric.better) != (first.unit, first.better):
            ways = (
                f"{first.unit or 'no unit'} ({first.better} is better) and {metric.unit or 'no unit'} ({metric.better})"
            )
            return Row(title, missing(f"the units do not match: {ways}"))
    if any(metric.value <= 0 for metric in every):
        zero = missing("a figure is zero or negative, so there is no ratio; was it measured?")
        return Row(title, zero, first.unit, first.better)
    faults = [f"{run.source}: {run.fault}" for run in (*old, *new) if run.fault]
    if faults:  # a run that dropped work has no figures to show
        return Row(title, inaccurate(faults[0]), first.unit, first.better)
    judgement = compare_runs(before, after, floors)
    return Row(title, judgement, first.unit, first.better, _centre(before), _centre(after))


def _centre(metrics: list[Metric]) -> float:
    """The geometric mean, without the dust that a logarithm and back leaves in the last digits."""
    return float(f"{math.exp(side(metrics).mean):.12g}")


def _by_conditions(runs: Sequence[Run]) -> dict[Conditions, list[Run]]:
    groups: dict[Conditions, list[Run]] = {}
    for run in runs:
        groups.setdefault(tuple(sorted(run.conditions.items())), []).append(run)
    return groups


def _difference(old: Conditions, new: Conditions) -> str:
    """The first condition that differs, in words."""
    left, right = dict(old), dict(new)
    key = next(key for key in {**left, **right} if left.get(key) != right.get(key))
    return f"{key} is {left.get(key, 'not given')} before and {right.get(key, 'not given')} after"
