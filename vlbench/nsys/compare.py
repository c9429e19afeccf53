"""Compare two captures range by range and counter by counter.

Counts decide: they are the same on a quiet and on a busy machine. Times are shown and never decide.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from vlbench.nsys.frames import Capture
from vlbench.nsys.projection import project
from vlbench.nsys.summary import counters, coverage, labels, per_range

FACTS = {"CUDA_GRAPH_TRACE_OPTIONS:MODE": "CUDA graph mode", "CUDA_SKIP_SOME_API_CALLS": "skipping of CUDA calls"}
_TIMES = ("range_ns", "work_ns", "busy_ns")
_UNATTRIBUTED = 0.01
_COLUMNS = ["range", "counter", "a", "b", "change", "per_instance"]
_TIME_COLUMNS = ["range", "time", "a", "b"]


@dataclass(frozen=True)
class Difference:
    """What differs. `obstacles` not empty: the captures do not compare and the other fields are empty.

    `compared`, `appeared`, `vanished`: ranges in both, in the second alone, in the first alone.
    `counters`: columns range, counter, a, b, change (appeared, vanished, up, down); `a` and `b` are totals
    where both captures have as many instances, else medians per instance (`per_instance`).
    `times`: medians per instance in ns.
    """

    obstacles: tuple[str, ...]
    notes: tuple[str, ...]
    compared: tuple[str, ...]
    appeared: tuple[str, ...]
    vanished: tuple[str, ...]
    counters: pd.DataFrame
    times: pd.DataFrame


def diff(before: Capture, after: Capture) -> Difference:
    """Everything in which `after` differs from `before`."""
    if found := _obstacles(before, after):
        return Difference(found, (), (), (), (), pd.DataFrame(columns=_COLUMNS), pd.DataFrame(columns=_TIME_COLUMNS))
    projected = [project(capture) for capture in (before, after)]
    old, new = (per_range(capture, table) for capture, table in zip((before, after), projected, strict=True))
    both = [name for name in old.index if name in new.index]
    return Difference(
        obstacles=(),
        notes=_notes(before, after),
        compared=tuple(both),
        appeared=tuple(name for name in new.index if name not in old.index),
        vanished=tuple(name for name in old.index if name not in new.index),
        counters=_counts(old.loc[both], new.loc[both], projected),
        times=_times(both, *projected),
    )


Settings = tuple[str, tuple[str, ...], Mapping[str, str]]
"""What made a capture ("nsys" or "kineto"), the GPUs it saw, and its `facts`."""


def facts(capture: Capture) -> dict[str, str]:
    """The settings of a capture that change what it counts; "" where it does not tell."""
    return {fact: capture.fact(fact) for fact in FACTS}


def obstacles(before: Settings, after: Settings, one: str = "one", two: str = "the other") -> list[str]:
    """Why the counts of two captures do not compare, by how they were taken; `one` and `two` name them."""
    found = []
    (source, gpus, told), (other, others, now) = before, after
    if source != other:
        found.append(f"{one} is from {source} and {two} from {other}, which do not count the same calls")
    if set(gpus) != set(others):
        here, there = (", ".join(sorted(set(each))) or "an unknown GPU" for each in (gpus, others))
        found.append(f"other GPUs: {one} is from {here} and {two} from {there}")
    for fact, name in FACTS.items():
        a, b = told.get(fact), now.get(fact)
        if a and b and a != b:
            found.append(f"the {name} was {a} and is {b}; counts with {a} and {b} differ for that alone")
    return found


def _obstacles(before: Capture, after: Capture) -> tuple[str, ...]:
    old, new = ((each.source, each.gpus, facts(each)) for each in (before, after))
    found = obstacles(old, new)
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
            notes.append(f"{capture.path}: {seen['no_api_row']} of {seen['gpu_ops']} GPU operations have no API call")
    return tuple(notes)


def _counts(old: pd.DataFrame, new: pd.DataFrame, tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Compare totals where a range has as many instances in both, else medians per instance.

    Means would differ between two windows of one program: the first iterations allocate and load.
    """
    named = dict.fromkeys([*counters(old), *counters(new)])
    medians = [_medians(table, counters(table)).reindex(columns=list(named), fill_value=0) for table in tables]
    totals = [side.reindex(columns=list(named), fill_value=0) for side in (old, new)]
    even = (old["instances"] == new["instances"]).to_numpy()
    rows = []
    for name in named:
        left, right = (
            np.where(even, total[name].to_numpy(), median[name].loc[list(total.index)].to_numpy())
            for total, median in zip(totals, medians, strict=True)
        )
        for place in np.flatnonzero(left != right).tolist():
            a, b = float(left[place]), float(right[place])
            change = "appeared" if not a else "vanished" if not b else "up" if b > a else "down"
            rows.append((place, old.index[place], name, a, b, change, not even[place]))
    return pd.DataFrame([row[1:] for row in sorted(rows, key=lambda row: row[0])], columns=_COLUMNS)


def _medians(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """By range, over its instances."""
    return table.groupby(labels(table), observed=True)[columns].median()


def _times(both: list[str], before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    medians = [_medians(table, list(_TIMES)).loc[both] for table in (before, after)]
    rows = [
        (label, time, float(a), float(b))
        for time in _TIMES
        for label, a, b in zip(both, *(table[time].to_numpy() for table in medians), strict=True)
        if a or b
    ]
    return pd.DataFrame(rows, columns=_TIME_COLUMNS)
