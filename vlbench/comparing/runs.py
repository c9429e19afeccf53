"""Runs of other benchmark tools: two sets of them become rows; what cannot be compared is a row that says why."""

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from glob import glob
from hashlib import sha256
from pathlib import Path
from typing import Any

from vlbench.errors import UsageError
from vlbench.judging.judged import JudgedRow
from vlbench.judging.unpaired import RunFloors, compare_runs, side
from vlbench.judging.verdict import inaccurate, missing
from vlbench.readers import read
from vlbench.readers.document import FOREIGN
from vlbench.record.directions import Better
from vlbench.record.runs import Metric, Run
from vlbench.untrusted.files import read_bytes

Conditions = tuple[tuple[str, str], ...]


def run_rows(
    before: Sequence[Run], after: Sequence[Run], floors: RunFloors, metrics: Sequence[str] = ()
) -> list[JudgedRow]:
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
        return [JudgedRow.missing("all metrics", "time", f"another workload or machine: {difference}")]
    rows: list[JudgedRow] = []
    for conditions in {**old, **new}:
        label = " ".join(f"{key}={value}" for key, value in conditions) if len({**old, **new}) > 1 else ""
        rows += _rows(label, old.get(conditions, []), new.get(conditions, []), floors, metrics)
    return rows


def _rows(label: str, old: list[Run], new: list[Run], floors: RunFloors, patterns: Sequence[str]) -> list[JudgedRow]:
    if not (old and new):
        return [JudgedRow.missing(label, "time", f"only the runs {'after' if new else 'before'} have these conditions")]
    names = {name: None for run in (*old, *new) for name in run.metrics}
    wanted = [name for name in names if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)]
    return [_row(f"{label} {name}".strip(), name, old, new, floors) for name in wanted]


def _row(title: str, name: str, old: list[Run], new: list[Run], floors: RunFloors) -> JudgedRow:
    absent = [run.source for run in (*old, *new) if name not in run.metrics]
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        return JudgedRow.missing(title, "time", f"{absent[0]}{more} does not have it; was it renamed?")
    before, after = [run.metrics[name] for run in old], [run.metrics[name] for run in new]
    first, every = before[0], [*before, *after]
    for metric in every:
        if (metric.unit, metric.better) != (first.unit, first.better):
            ways = (
                f"{first.unit or 'no unit'} ({first.better} is better) and {metric.unit or 'no unit'} ({metric.better})"
            )
            return JudgedRow.missing(title, "time", f"the units do not match: {ways}")
    shown: dict[str, Any] = {"unit": first.unit, "better": "more" if first.better is Better.HIGHER else "less"}
    if any(metric.value <= 0 for metric in every):
        reason = "a figure is zero or negative, so there is no ratio; was it measured?"
        return JudgedRow.of(title, missing(reason), **shown)
    faults = [f"{run.source}: {run.fault}" for run in (*old, *new) if run.fault]
    if faults:  # a run that dropped work has no figures to show
        return JudgedRow.of(title, inaccurate(faults[0]), measure="accuracy", **shown)
    judgement = compare_runs(before, after, floors)
    return JudgedRow.of(title, judgement, before=_centre(before), after=_centre(after), **shown)


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


def read_sides(
    before: Sequence[str],
    after: Sequence[str],
    name: str | None = None,
    options: tuple[str, str] = ("A", "B"),
    better: Mapping[str, Better] | None = None,
) -> tuple[list[Run], list[Run]]:
    """The runs of both sides. Each entry is a file or a pattern such as `runs/a-*.json`; `options` name the sides.

    A file given twice, or a copy of one, would count as two runs that agree perfectly: it is refused. Raises
    `UsageError`.
    """
    old, new = (_files(entries, option) for entries, option in zip((before, after), options, strict=True))
    seen: dict[object, str] = {}
    for path in (*old, *new):
        for mark in _marks(Path(path)):
            if mark in seen:
                raise UsageError(f"{path} has the same content as {seen[mark]}; give each run once")
            seen[mark] = path
    found = [[run for path in paths for run in read(path, name, better)] for paths in (old, new)]
    named = {metric for runs in found for run in runs for metric in run.metrics}
    for metric in better or {}:
        if metric not in named:
            raise UsageError(
                f"no metric is called {metric!r}, so nothing can be said of it; there are {', '.join(sorted(named))}"
            )
    return found[0], found[1]


def _marks(path: Path) -> list[object]:
    """What no two runs share: the file itself and, in JSON, the content. A short CSV can repeat by chance."""
    content = read_bytes(path, FOREIGN)
    return [path.resolve(), *([sha256(content).digest()] if content.lstrip().startswith(b"{") else [])]


def _files(entries: Sequence[str], option: str) -> list[str]:
    files: list[str] = []
    for entry in entries:
        found = [entry] if Path(entry).exists() else sorted(glob(entry, recursive=True))
        if not found:
            raise UsageError(f"{option} {entry} is no file and no pattern that fits one; check the path")
        for path in found:
            if Path(path).is_dir():
                raise UsageError(f"{option} {path} is a folder; name its files, such as '{path}/*.json'")
        files += found
    return files
