"""Compare two captures range by range and counter by counter.

Counts decide: they are the same on a quiet and on a busy machine. Times are shown and never decide.

The instances of a range are rarely alike: of 32 attention layers 28 have windows, and the first forward allocates. No
figure of one instance stands for them, so totals are compared. Where one capture holds more instances, it is those of
the first so many in both, which hold the same layers and the same start; the rest of the longer one is held against
what the shorter one's instances would add up to.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from vlbench.nsys.comparable import FACTS, notes, obstacles, uncounted
from vlbench.nsys.frames import Capture
from vlbench.nsys.measured import losses, unknown_calls, unmeasured
from vlbench.nsys.projection import beside_ranges, project
from vlbench.nsys.summary import counters, labels, per_range
from vlbench.record.baseline import Origin

_TIMES = ("range_ns", "work_ns", "busy_ns")
_COLUMNS = ["range", "counter", "a", "b", "change", "over"]
_TIME_COLUMNS = ["range", "time", "a", "b", "a_median", "b_median"]


@dataclass(frozen=True)
class Difference:
    """What differs. `obstacles` not empty: the captures do not compare and the other fields are empty.

    `compared`, `appeared`, `vanished`: ranges in both, in the second alone, in the first alone.
    `counters`: columns range, counter, a, b, change (appeared, vanished, up, down), over; `a` and `b` are totals over
    the instances that `over` names: "all 96", "first 96" or "after 96" (then `a` or `b` is what would be expected).
    `times`: means and medians per instance in ns.
    `uncounted`: why a counter could not be compared, or may have missed something, a sentence each.
    """

    obstacles: tuple[str, ...]
    notes: tuple[str, ...]
    compared: tuple[str, ...]
    appeared: tuple[str, ...]
    vanished: tuple[str, ...]
    counters: pd.DataFrame
    times: pd.DataFrame
    uncounted: tuple[str, ...] = ()


def diff(before: Capture, after: Capture) -> Difference:
    """Everything in which `after` differs from `before`."""
    sides = origin_of(before), origin_of(after)
    if found := (*obstacles(*sides), *_nothing_to_compare(before, after)):
        return Difference(found, (), (), (), (), pd.DataFrame(columns=_COLUMNS), pd.DataFrame(columns=_TIME_COLUMNS))
    projected = [project(capture) for capture in (before, after)]
    old, new = (per_range(capture, table) for capture, table in zip((before, after), projected, strict=True))
    both = [name for name in old.index if name in new.index]
    share = new.loc[both, "instances"].sum() / max(old.loc[both, "instances"].sum(), 1)
    return Difference(
        obstacles=(),
        notes=tuple(notes(*sides)),
        compared=tuple(both),
        appeared=tuple(name for name in new.index if name not in old.index),
        vanished=tuple(name for name in old.index if name not in new.index),
        counters=_counts(both, *projected),
        times=_times(both, *projected),
        uncounted=(*_lost(before, after), *uncounted(*sides, share)),
    )


def origin_of(capture: Capture) -> Origin:
    """What a capture says of itself as a whole."""
    return Origin.model_construct(  # unchecked: the names in a capture may hold anything
        source=capture.source,
        version=capture.version,
        gpus=tuple(sorted(set(capture.gpus))),
        facts={fact: told for fact in FACTS if (told := capture.fact(fact))},
        notes=capture.notes,
        unmeasured=unmeasured(capture),
        beside={name: calls for name, calls in beside_ranges(capture).items() if calls},
    )


def _nothing_to_compare(before: Capture, after: Capture) -> Iterator[str]:
    for capture in (before, after):
        if capture.ranges.empty:
            yield f"{capture.path} has no ranges"
        elif not len(capture.api) and not len(capture.gpu_ops):
            yield f"{capture.path} has no CUDA activity"


def _lost(before: Capture, after: Capture) -> list[str]:
    """What was lost, and calls that may be anything."""
    found = [f"{capture.path}: {each}" for capture in (before, after) for each in losses(capture)]
    strange = list(dict.fromkeys([*unknown_calls(before), *unknown_calls(after)]))
    return found + ([f"API calls are not counted that no table knows: {', '.join(strange[:5])}"] if strange else [])


def _counts(both: list[str], before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Every counter that differs, range by range."""
    named = list(dict.fromkeys([*counters(before), *counters(after)]))
    named = [name for name in named if not any(name in side and side[name].isna().any() for side in (before, after))]
    sides = [_instances(table, named) for table in (before, after)]
    rows = []
    for label in both:
        old, new = (side[label] for side in sides)
        for place, name in enumerate(named):
            if differs := _difference(old[:, place], new[:, place]):
                a, b, over = differs
                change = "appeared" if not a else "vanished" if not b else "up" if b > a else "down"
                rows.append((label, name, a, b, change, over))
    return pd.DataFrame(rows, columns=_COLUMNS)


def _instances(table: pd.DataFrame, columns: list[str]) -> dict[str, np.ndarray]:
    """By range, the counters of its instances in the order of their start: [instances, counters]."""
    ordered = table.sort_values("start", kind="stable").reindex(columns=["domain", "name", *columns], fill_value=0)
    groups = ordered[columns].groupby(labels(ordered), observed=True, sort=False)
    return {str(label): rows.to_numpy(dtype=float) for label, rows in groups}


def _difference(old: np.ndarray, new: np.ndarray) -> tuple[float, float, str] | None:
    """Totals that differ, and over which instances; None where nothing does."""
    common = min(old.size, new.size)
    a, b = float(old[:common].sum()), float(new[:common].sum())
    if a != b:
        return a, b, f"{'all' if old.size == new.size else 'first'} {common}"
    longer, shorter = (new, old) if new.size > old.size else (old, new)
    rest, expected = float(longer[common:].sum()), float(shorter.mean()) * (longer.size - common)
    # Less is what an allocation at the start leaves behind; by up to one instance's worth more, where a forward is cut.
    if rest <= expected + shorter.max():
        return None
    return (expected, rest, f"after {common}") if longer is new else (rest, expected, f"after {common}")


def _times(both: list[str], before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    columns = [time for time in _TIMES if not any(table[time].isna().any() for table in (before, after))]
    groups = [table[columns].groupby(labels(table), observed=True) for table in (before, after)]
    found = [getattr(group, how)().loc[both] for how in ("mean", "median") for group in groups]
    rows = [
        (label, time, *(float(table[time].loc[label]) for table in found))
        for time in columns
        for label in both
        if any(table[time].loc[label] for table in found)
    ]
    return pd.DataFrame(rows, columns=_TIME_COLUMNS)
