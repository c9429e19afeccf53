"""Sum the projection up: per range, per iteration, stability of the counts, what was not attributed."""

import re

import numpy as np
import pandas as pd

from vlbench.errors import UsageError
from vlbench.nsys.frames import Capture
from vlbench.nsys.projection import COUNTS, inside_some_range, project

ITERATION = "vlbench:iteration"


def labels(table: pd.DataFrame) -> pd.Series:
    """`domain:name` of each row; the default domain gives `:name`, as nsys prints it."""
    joint = table["domain"].astype("category").cat
    names = table["name"].astype("category").cat
    codes = joint.codes.to_numpy().astype(np.int64) * (len(names.categories) + 1) + names.codes.to_numpy()
    unique, inverse = np.unique(codes, return_inverse=True)
    width = len(names.categories) + 1
    shown = [f"{joint.categories[code // width]}:{names.categories[code % width]}" for code in unique.tolist()]
    return pd.Series(
        pd.Categorical.from_codes(inverse, categories=pd.Index(shown, dtype=object)), index=table.index, name="range"
    )


def per_range(capture: Capture, projected: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row per `domain:name` in order of first appearance: `instances` and every column of `project`, summed.

    `depth` is the least depth seen, `first_launch_ns` the median. Spans of nested ranges overlap, so only
    counts and work add up between rows, and only through the `self_` columns.
    """
    table = project(capture) if projected is None else projected
    groups = table.drop(columns=["domain", "name", "start", "gpu_start", "gpu_end"]).groupby(
        labels(table), observed=True
    )
    result = groups.sum()
    some = table.isna().any()
    for column in [name for name in result.columns if some[name]]:
        result[column] = groups[column].sum(min_count=1)
    result["depth"] = groups["depth"].min()
    result["first_launch_ns"] = groups["first_launch_ns"].median()
    result.insert(0, "instances", groups.size())
    first = table["start"].groupby(labels(table), observed=True).min()
    result = result.loc[first.sort_values(kind="stable").index]
    result.index = pd.Index([str(label) for label in result.index], dtype=object, name="range")
    return result


def given_pattern(option: str, text: str) -> re.Pattern[str]:
    """The regular expression that an option gives. Raises UsageError."""
    try:
        return re.compile(text)
    except re.error as error:
        raise UsageError(f"{option} {text!r} is not a regular expression ({error}); mend it") from error


def counters(table: pd.DataFrame) -> list[str]:
    """The columns that are exact counts, the same on a fast and on a slow machine; not those not measured."""
    exact = [name for name in table.columns if name in COUNTS or name.startswith(("copies[", "bytes["))]
    return [name for name in exact if not table[name].isna().any()]


def per_iteration(capture: Capture, iteration: str = ITERATION) -> pd.DataFrame:
    """One row per instance of the repeated range, in time order, with every column of `project`.

    `iteration` is a regular expression for the whole `domain:name`. Raises UsageError where no range matches.
    """
    label = labels(capture.ranges)
    known = list(dict.fromkeys(label))
    expression = given_pattern("--iteration", iteration)
    matching = [name for name in known if expression.fullmatch(name)]
    if not matching:
        listed = ", ".join(known[:8]) or "none at all"
        raise UsageError(f"{capture.path}: no range is named {iteration!r}; ranges there are: {listed}")
    chosen = capture.ranges[label.isin(matching)].sort_values("start", kind="stable")
    return project(capture, chosen).reset_index(drop=True)


def stability(iterations: pd.DataFrame, skip: int = 1) -> pd.DataFrame:
    """How constant each counter is over the iterations after the first `skip`: a row per counter that ever counted.

    Columns: `usual` (the most frequent value), `same` (iterations that have it), `of`, `least`, `most`, and
    `others`, a dict of iteration number -> value for those that differ.
    """
    kept = iterations.iloc[skip:]
    rows = {}
    for name in counters(iterations):
        values = kept[name]
        if not values.any():
            continue
        usual = int(values.mode().iloc[0])
        others = {int(str(number)): int(value) for number, value in values[values != usual].items()}
        same = len(values) - len(others)
        rows[name] = (usual, same, len(values), int(values.min()), int(values.max()), others)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["usual", "same", "of", "least", "most", "others"])


def coverage(capture: Capture) -> dict[str, int]:
    """How many GPU operations could be attributed, and why the others could not.

    `gpu_ops` = `in_ranges` + `no_api_row` (the call was cut off or lost) + `thread_without_ranges`
    (autograd's backward runs on a thread of its own) + `outside_ranges`.
    """
    api = capture.gpu_ops["api"].to_numpy()
    inside = inside_some_range(capture)
    with_ranges = capture.ranges.loc[~capture.ranges["moved"], "tid"].unique()
    on_thread = np.append(np.isin(capture.api["tid"].to_numpy(), with_ranges), False)[api]
    matched = api >= 0
    return {
        "gpu_ops": len(api),
        "in_ranges": int(inside.sum()),
        "no_api_row": int((~matched).sum()),
        "thread_without_ranges": int((matched & ~on_thread).sum()),
        "outside_ranges": int((matched & on_thread & ~inside).sum()),
        "api_calls": len(capture.api),
        "ranges": len(capture.ranges),
        "open_ranges": int(capture.ranges["open"].sum()),
        "moved_ranges": int(capture.ranges["moved"].sum()),
    }
