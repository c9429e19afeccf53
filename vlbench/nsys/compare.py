"""Compare two captures range by range and counter by counter.

Counts decide: they are the same on a quiet and on a busy machine. Times are shown and never decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from vlbench.nsys.failures import Exit
from vlbench.nsys.frames import Capture
from vlbench.nsys.projection import project
from vlbench.nsys.summary import counters, coverage, labels, per_range

_FACTS = {
    "CUDA_GRAPH_TRACE_OPTIONS:MODE": "CUDA graph mode",
    "CUDA_SKIP_SOME_API_CALLS": "skipping of CUDA calls",
}
_TIMES = ("range_ns", "work_ns", "busy_ns")
_UNATTRIBUTED = 0.01


@dataclass(frozen=True)
class Difference:
    """What differs. `obstacles` not empty: the captures do not compare and the other fields are empty.

    `counters`: columns range, counter, a, b, change (appeared, vanished, up, down); `a` and `b` are totals
    where both captures have as many instances, else means per instance (`per_instance`). `times`: medians per
    instance in ns.
    """

    obstacles: tuple[str, ...]
    notes: tuple[str, ...]
    appeared: tuple[str, ...]
    vanished: tuple[str, ...]
    counters: pd.DataFrame
    times: pd.DataFrame

    @property
    def exit_code(self) -> Exit:
        """14 not comparable, before 6 a range vanished, before 3 a count went up; else 0."""
        if self.obstacles:
            return Exit.NOT_COMPARABLE
        if self.vanished:
            return Exit.MISSING
        if self.counters["change"].isin(["up", "appeared"]).any():
            return Exit.REGRESSED
        return Exit.OK


def diff(before: Capture, after: Capture) -> Difference:
    """Everything in which `after` differs from `before`."""
    obstacles = _obstacles(before, after)
    counts = pd.DataFrame(columns=["range", "counter", "a", "b", "change", "per_instance"])
    times = pd.DataFrame(columns=["range", "time", "a", "b"])
    if obstacles:
        return Difference(obstacles, (), (), (), counts, times)
    projected = [project(capture) for capture in (before, after)]
    old, new = (per_range(capture, table) for capture, table in zip((before, after), projected, strict=True))
    both = [name for name in old.index if name in new.index]
    return Difference(
        obstacles=(),
        notes=_notes(before, after),
        appeared=tuple(name for name in new.index if name not in old.index),
        vanished=tuple(name for name in old.index if name not in new.index),
        counters=_counts(old.loc[both], new.loc[both], counts),
        times=_times(both, *projected),
    )


def _obstacles(before: Capture, after: Capture) -> tuple[str, ...]:
    found = []
    if before.source != after.source:
        found.append(
            f"one is from {before.source}, the other from {after.source}: they do not count the same calls"
        )
    if before.gpus and after.gpus and set(before.gpus) != set(after.gpus):
        found.append(
            f"other GPUs ({', '.join(sorted(set(before.gpus)))} and {', '.join(sorted(set(after.gpus)))})"
        )
    for fact, name in _FACTS.items():
        a, b = before.fact(fact), after.fact(fact)
        if a and b and a != b:
            found.append(f"the {name} differs ({a} and {b})")
    for capture in (before, after):
        if capture.ranges.empty:
            found.append(f"{capture.path} has no ranges")
        elif not len(capture.api) and not len(capture.gpu_ops):
            found.append(f"{capture.path} has no CUDA activity")
    return tuple(found)


def _notes(before: Capture, after: Capture) -> tuple[str, ...]:
    notes = []
    if before.version != after.version:
        notes.append(f"made by {before.version} and {after.version}")
    for capture in (before, after):
        seen = coverage(capture)
        if seen["no_api_row"] > _UNATTRIBUTED * max(seen["gpu_ops"], 1):
            notes.append(
                f"{capture.path}: {seen['no_api_row']} of {seen['gpu_ops']} GPU operations have no API call"
            )
    return tuple(notes)


def _counts(old: pd.DataFrame, new: pd.DataFrame, empty: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for name in dict.fromkeys([*counters(old), *counters(new)]):
        zero = pd.Series(0, index=old.index)
        a, b = old.get(name, zero), new.get(name, zero)
        instances = old["instances"], new["instances"]
        moved = a * instances[1] != b * instances[0]  # exact, also where the instances differ
        for label in old.index[moved]:
            averaged = instances[0][label] != instances[1][label]
            left = a[label] / instances[0][label] if averaged else int(a[label])
            right = b[label] / instances[1][label] if averaged else int(b[label])
            change = "appeared" if not left else "vanished" if not right else "up" if right > left else "down"
            rows.append((label, name, left, right, change, averaged))
    if not rows:
        return empty
    place = {label: number for number, label in enumerate(old.index)}
    rows.sort(key=lambda row: place[row[0]])
    return pd.DataFrame(rows, columns=list(empty.columns))


def _times(both: list[str], before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    medians = [
        table.groupby(labels(table), observed=True)[list(_TIMES)].median().loc[both]
        for table in (before, after)
    ]
    rows = [
        (label, time, float(a), float(b))
        for time in _TIMES
        for label, a, b in zip(both, *(table[time].to_numpy() for table in medians), strict=True)
        if a or b
    ]
    return pd.DataFrame(rows, columns=["range", "time", "a", "b"])
