"""Runs of other benchmark tools: two sets of them become rows; what cannot be compared is a row that says why."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from glob import glob
from pathlib import Path
from shlex import quote
from typing import Any

from vlbench.comparing.copies import check_files, check_runs
from vlbench.errors import UsageError
from vlbench.judging.judged import JudgedRow, Measure
from vlbench.judging.shares import compare_shares
from vlbench.judging.unpaired import RunFloors, centre, compare_runs
from vlbench.judging.verdict import Verdict, inaccurate, missing
from vlbench.judging.words import SECONDS, few
from vlbench.readers import read
from vlbench.record.directions import Better
from vlbench.record.grouping import gathered
from vlbench.record.runs import Metric, Run
from vlbench.untrusted.limits import Limit

Conditions = tuple[tuple[str, str], ...]
SAME_WORK = 0.02
"""How far apart runs of equal work may answer, as a share: sampling ends some answers earlier."""
MOST_NAMES = 12


def run_rows(
    before: Sequence[Run], after: Sequence[Run], floors: RunFloors, metrics: Sequence[str] = ()
) -> list[JudgedRow]:
    """A row for each metric under each set of conditions that either side has, in the order they are met.

    `metrics` are name patterns; without them every metric is judged. Raises `UsageError` if a pattern fits nothing.
    """
    names = {name for run in (*before, *after) for name in run.metrics}
    unread = {name for run in (*before, *after) for name in run.unread}
    for pattern in metrics:
        if not any(fnmatchcase(name, pattern) for name in names | unread):
            aside = "".join(f"; {each}" for each in left_out((*before, *after)))
            raise UsageError(f"no metric fits {pattern!r}; there are {', '.join(sorted(names))}{aside}")
    sides = _of_both(before, after)
    old, new = (gathered((tuple(sorted(run.conditions.items())), run) for run in side) for side in sides)
    rows = list(_not_understood((*before, *after), metrics))
    apart = _apart(*sides)
    if lost := _lost(before, after) or (_fault((*before, *after)) if apart else ""):
        return [JudgedRow.of("all metrics", inaccurate(lost), measure="accuracy"), *rows]
    if apart:
        return [JudgedRow.missing("all metrics", "metric", _refusal(apart)), *rows]
    every, judged = {**old, **new}, list[JudgedRow]()
    for conditions in every:
        label = " ".join(f"{key}={value}" for key, value in conditions) if len(every) > 1 else ""
        judged += _rows(label, old.get(conditions, []), new.get(conditions, []), floors, metrics)
        Limit.METRICS.check(len(judged), "what is judged", "name fewer with --metric, or give fewer files")
    return [*judged, *rows]


def left_out(runs: Iterable[Run]) -> Iterator[str]:
    """A line of what is known and not judged, where there is any."""
    if names := list(dict.fromkeys(name for run in runs for name in run.left_out)):
        yield f"left out: {', '.join(names[:MOST_NAMES])} (one slow request moves a mean)"


def _not_understood(runs: Sequence[Run], metrics: Sequence[str]) -> Iterator[JudgedRow]:
    """The row of what no reader knows. Who names `metrics` is told of what they fit alone."""
    unread: dict[str, str] = {}
    for run in runs:
        for name in run.unread:
            if not metrics or any(fnmatchcase(name, pattern) for pattern in metrics):
                unread.setdefault(name, run.source)
    if unread:
        names, source = list(unread), next(iter(unread.values()))
        reason = f"{source} holds what nobody here knows: {few(names, MOST_NAMES)}; name what to judge with --metric"
        yield JudgedRow(cell="not understood", measure="metric", verdict=Verdict.INCONCLUSIVE, reason=reason)


def _lost(before: Sequence[Run], after: Sequence[Run]) -> str:
    """That a side completed fewer requests under the same settings, where no file tells how many were sent."""
    done: dict[Conditions, tuple[set[float | None], set[float | None]]] = {}
    for place, runs in enumerate((before, after)):
        for run in runs:
            done.setdefault(_settings(run), (set(), set()))[place].add(run.answered.get("completed"))
    for sides in done.values():
        if all(sides) and sides[0] != sides[1] and None not in (every := sides[0] | sides[1]):
            least, most = (f"{each:.0f}" for each in (min(every, key=float), max(every, key=float)))  # type: ignore[arg-type]
            both = f"{least} requests were completed in one run and {most} in another"
            return f"{both}, of the same load: were they lost?"
    return ""


def _fault(runs: Iterable[Run]) -> str:
    """Why the figures of a run mean nothing; "" where those of all do."""
    return next((f"{run.source}: {run.fault}" for run in runs if run.fault), "")


def _settings(run: Run) -> Conditions:
    return tuple(sorted((key, value) for key, value in run.conditions.items() if not key.startswith("total_")))


def _of_both(before: Sequence[Run], after: Sequence[Run]) -> list[list[Run]]:
    """The runs of each side, without conditions of a benchmark or task (`version of NAME`) that one side has not."""
    measured = [sorted({name for run in side for name in run.metrics}) for side in (before, after)]

    def has(names: list[str], of: str) -> bool:
        starts = (f"{of} ", f"{of}(")
        nearest = (names[at] for each in (of, *starts) if (at := bisect_left(names, each)) < len(names))
        return any(name == of or name.startswith(starts) for name in nearest)

    def is_of_both(key: str) -> bool:
        of = key.partition(" of ")[2]
        return not of or all(has(names, of) for names in measured)

    def shared(run: Run) -> Run:
        return replace(run, conditions={key: told for key, told in run.conditions.items() if is_of_both(key)})

    return [[shared(run) for run in side] for side in (before, after)]


def _other_work(old: Sequence[Run], new: Sequence[Run]) -> str:
    """What came back in amounts that no chance makes, so that the runs did different work."""
    for key in dict.fromkeys(key for run in (*old, *new) for key in run.answered):
        found = [{run.answered.get(key) for run in side} for side in (old, new)]
        amounts = [each for each in found[0] | found[1] if each is not None]
        apart = max(amounts) > (1 + SAME_WORK) * min(amounts) or None in found[0] | found[1]
        if apart:
            told = [
                " or ".join("not given" if each is None else f"{each:,.0f}" for each in sorted(side, key=str))
                for side in found
            ]
            return f"{key} is {told[0]} before and {told[1]} after"
    return ""


def _rows(label: str, old: list[Run], new: list[Run], floors: RunFloors, patterns: Sequence[str]) -> list[JudgedRow]:
    fault = _fault((*old, *new))  # requests that were lost are counted nowhere, so that what was done differs, too
    if fault and not (old and new):
        return [JudgedRow.of(label or "all metrics", inaccurate(fault), measure="accuracy")]
    if not (old and new):
        alone = f"only the runs {'after' if new else 'before'} have these conditions"
        return [JudgedRow.missing(label, "metric", alone)]
    if not fault and (difference := _other_work(old, new)):
        return [JudgedRow.missing(label or "all metrics", "metric", f"not the same work: {difference}")]
    names = {name: None for run in (*old, *new) for name in run.metrics}
    wanted = [name for name in names if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)]
    Limit.METRICS.check(len(wanted), "what is judged", "name fewer with --metric")
    return [_row(f"{label} {name}".strip(), name, old, new, floors) for name in wanted]


def _row(title: str, name: str, old: list[Run], new: list[Run], floors: RunFloors) -> JudgedRow:
    absent = [run.source for run in (*old, *new) if name not in run.metrics]
    if absent == [run.source for run in old]:
        return JudgedRow.missing(title, "metric", "new, and not judged: the runs before do not have it", gates=False)
    if absent:
        return JudgedRow.missing(title, "metric", f"{few(absent, 1)} does not have it; was it renamed?")
    before, after = [run.metrics[name] for run in old], [run.metrics[name] for run in new]
    first, every = before[0], [*before, *after]
    measure: Measure = "time" if first.unit in SECONDS else "metric"
    for metric in every:
        if (metric.unit, metric.better) != (first.unit, first.better):
            unit, other = (each.unit or "no unit" for each in (first, metric))
            ways = f"{unit} ({first.better} is better) and {other} ({metric.better})"
            return JudgedRow.missing(title, measure, f"the units do not match: {ways}")
    if len(asked := {metric.questions for metric in every}) > 1:
        reason = f"other questions: {' and '.join(f'{each:,}' for each in sorted(asked))} were asked"
        return JudgedRow.missing(title, measure, reason)
    shown: dict[str, Any] = {"measure": measure, "unit": first.unit, "better": first.better}
    if fault := _fault((*old, *new)):  # a run that dropped work has no figures to show
        return JudgedRow.of(title, inaccurate(fault), **shown | {"measure": "accuracy"})
    if any(metric.value <= 0 for metric in every):
        reason = "a figure is zero or negative, so there is no ratio; was it measured?"
        return JudgedRow.of(title, missing(reason), **shown)
    judged = compare_shares if all(metric.answers for metric in every) else compare_runs
    judgement = judged(before, after, floors)
    return JudgedRow.of(title, judgement, before=_centre(before), after=_centre(after), **shown)


def _centre(metrics: list[Metric]) -> float:
    """The geometric mean, without the dust that a logarithm and back leaves in the last digits."""
    return float(f"{math.exp(centre(metrics)):.12g}")


def _apart(before: Sequence[Run], after: Sequence[Run]) -> dict[str, str]:
    """Conditions that are one thing in all runs before and another in all after, each in words."""
    found = {}
    for key in sorted({key for run in (*before, *after) for key in run.conditions}):
        sides = [{run.conditions.get(key, "not given") for run in side} for side in (before, after)]
        if len(sides[0]) == len(sides[1]) == 1 and sides[0] != sides[1]:
            found[key] = f"{key} is {sides[0].pop()} before and {sides[1].pop()} after"
    return found


def _refusal(apart: Mapping[str, str]) -> str:
    """Why runs that are `apart` are not compared, and how they would be."""
    (first, told), *others = apart.items()
    more = f" ({few([key for key, _ in others], MOST_NAMES)} as well)" if others else ""
    remedy = f"if that is what is compared, name it: `vlbench judge --compare {quote(first)}`"
    return f"another workload or machine: {told}{more}; {remedy}"


def meant_to_differ(
    before: Sequence[Run], after: Sequence[Run], keys: Sequence[str]
) -> tuple[list[Run], list[Run], list[str]]:
    """Both sides without the conditions `keys`, which are what is compared, and a sentence of each.

    Raises UsageError for one that is not one thing in all runs before and another in all after.
    """
    apart = _apart(before, after)
    for key in keys:
        if key not in apart:
            there = f"; name one that is: {', '.join(apart)}" if apart else ", and nothing is; leave it out"
            raise UsageError(f"--compare {key}: it is not one thing in all runs before and another in all after{there}")
    old, new = (
        [replace(run, conditions={k: told for k, told in run.conditions.items() if k not in keys}) for run in side]
        for side in (before, after)
    )
    return old, new, [f"meant to differ, and compared: {apart[key]}" for key in dict.fromkeys(keys)]


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
    check_files((old, new))
    found = [[run for path in paths for run in read(path, name, better)] for paths in (old, new)]
    check_runs(found)
    named = {metric for runs in found for run in runs for metric in run.metrics}
    for metric in better or {}:
        if metric not in named:
            there = ", ".join(sorted(named))
            raise UsageError(f"no metric is called {metric!r}, so nothing can be said of it; there are {there}")
    return found[0], found[1]


def _files(entries: Sequence[str], option: str) -> list[str]:
    files: list[str] = []
    for entry in entries:
        found = [entry] if Path(entry).exists() else sorted(glob(entry, recursive=True))
        if not found:
            raise UsageError(f"{option}: {entry} is no file and no pattern that fits one; check the path")
        for path in found:
            if Path(path).is_dir():
                raise UsageError(f"{option}: {path} is a folder; name its files, such as '{path}/*.json'")
        files += found
    return files
