"""Figures over versions of a file, or over files: any step of a count is a change, times change by their levels.

Counts travel between machines. Times are followed on one class of machine, and only as long as the same was timed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from vlbench.comparing.contents import OURS, Contents, Failed, contents_of, is_capture, record_in
from vlbench.comparing.timed_cells import difference
from vlbench.errors import UsageError
from vlbench.judging.judged import Judged
from vlbench.record.base import fitting, grid_text
from vlbench.record.baseline import Baseline, CapturedCell, CountedCell, TimedCell
from vlbench.record.baseline_files import why_unfit
from vlbench.record.schema import Results
from vlbench.stats.change_points import SMALLEST, can_look, change_points
from vlbench.untrusted.files import read_json
from vlbench.untrusted.limits import Limit

DERIVED = ("exit_code", "expected_false_rows")
LARGEST = 10.0**Limit.DIGITS.most
"""No figure is as large: beyond it no line is drawn, and sums are no numbers."""
Name = tuple[str, str, str]
"""A cell, a figure of it, and its unit: "" is a number."""


@dataclass(frozen=True)
class Figure:
    """One figure of a version."""

    value: float
    context: str = ""
    """Of a count: what else decides it."""
    before: float | None = None
    """As the version itself says that it was."""
    machine: str = ""
    """Of a time: the class of machine."""
    timed: TimedCell | None = None


@dataclass(frozen=True)
class Version:
    """What a file held at a time."""

    name: str
    """A commit in short, or the file."""
    date: str
    words: str = ""
    """The subject of the commit."""
    figures: Mapping[Name, Figure] = field(default_factory=dict)
    ranges: frozenset[tuple[str, str]] = frozenset()
    """Of captures: ranges of a cell, of which a counter that is left out is zero."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """A step to another value, or to another level."""

    at: int
    """The version that it begins with, by its place."""
    before: float
    after: float
    why: str = ""
    """What else is not as it was."""


@dataclass(frozen=True)
class Series:
    """One figure over versions."""

    cell: str
    figure: str
    unit: str
    machine: str
    """Of times; "" of counts."""
    values: tuple[float | None, ...]
    """By version; None where it does not have it."""
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class History:
    """All figures of a file over its versions, or of several files."""

    source: str
    versions: tuple[Version, ...]
    series: tuple[Series, ...]
    notes: tuple[str, ...]


def version_of(path: Path, name: str, date: str = "", words: str = "") -> Version:
    """What is in a file: a baseline, results, counts, a capture or the verdicts of `vlbench gate --json`.

    Raises UsageError for what is none of them or holds a figure that nothing measures, and IncomparableError for one of
    another schema.
    """
    found = _version_of(path, name, date, words)
    for (cell, figure, _), each in found.figures.items():
        for value in (each.value, each.before or 0.0):
            if not abs(value) < LARGEST:  # nor is NaN
                told = f"{value:g} is not below {LARGEST:g}, as all that is measured is"
                raise UsageError(f"{path}: {cell}: {figure}: {told}; was the file changed by hand?")
    return found


def _version_of(path: Path, name: str, date: str, words: str) -> Version:
    captured = is_capture(path)
    content = {} if captured else read_json(path, OURS)
    facts = content if isinstance(content, dict) else {}
    if {"command", "rows", "before"} <= facts.keys():
        kept = {key: value for key, value in facts.items() if key not in DERIVED}
        return _judged(fitting(Judged, kept, path, "the file was changed by hand"), name, date, words)
    record = record_in(path, facts)
    side = contents_of(record or path)
    if side is None:
        raise UsageError(f"{path}: holds no results, baseline, count or verdicts of vlbench; {OURS.remedy}")
    figures: dict[Name, Figure] = {}
    ranges, notes = set[tuple[str, str]](), [f"{name}: {side.unsealed}"] if side.unsealed else []
    for cell in (*side.counted.values(), *side.timed.values(), *side.captured.values()):
        match cell:
            case Failed():
                notes.append(f"{name}: {cell.name}: {cell.reason}")
            case CountedCell():
                figures |= _counted(cell)
            case TimedCell():
                figures |= _timed(cell, side)
            case CapturedCell():
                called = "capture" if captured else cell.name  # a file of its own is named after itself
                figures |= _captured(cell, called)
                ranges |= {(called, each.name) for each in cell.ranges}
    if isinstance(record, Baseline):
        date = date or (f"{record.accepted[-1].date:%Y-%m-%d}" if record.accepted else "")
        notes += [f"{name}: {reason}"] if (reason := why_unfit(record)) else []
    elif isinstance(record, Results):
        date = date or f"{record.created:%Y-%m-%d %H:%M:%S}"
    return Version(name, date, words, figures, frozenset(ranges), tuple(notes))


def history_of(source: str, versions: Sequence[Version]) -> History:
    """The series of all figures, with their changes."""
    values: dict[tuple[Name, str], dict[int, Figure]] = {}
    last: dict[tuple[Name, str], TimedCell] = {}
    parts: dict[tuple[Name, str], int] = {}
    notes = dict.fromkeys(note for version in versions for note in version.notes)
    for index, version in enumerate(versions):
        for name, figure in version.figures.items():
            key = (name, figure.machine)
            if figure.timed and key in last and (other := difference(last[key], figure.timed)):
                parts[key] = parts.get(key, 1) + 1
                notes[f"{version.name}: {name[0]} is followed anew from here: {other}"] = None
            if figure.timed:
                last[key] = figure.timed
            part = f"{figure.machine} (part {parts[key]})" if key in parts else figure.machine
            values.setdefault((name, part), {})[index] = figure
    series = [
        _series(name, machine, _with_zeros(name, found, versions), len(versions))
        for (name, machine), found in values.items()
    ]
    timed = [sum(value is not None for value in each.values) for each in series if each.machine]
    if short := sum(many < 2 * SMALLEST for many in timed):
        told = f"{short} of {len(timed)} series of times are shorter than {2 * SMALLEST}, two levels of {SMALLEST}"
        notes[f"{told}: no change is looked for there"] = None
    if len(timed) > short and not can_look():
        notes["changes of times are not looked for without ruptures: pip install 'vlbench[history]'"] = None
    return History(source, tuple(versions), tuple(series), tuple(notes))


def history_rows(history: History) -> list[dict[str, object]]:
    """A plain row for each figure of each version that has it: what it is, its value, and whether it changed there."""
    rows = list[dict[str, object]]()
    for each in history.series:
        changes = {change.at: change for change in each.changes}
        facts = {"source": history.source, "cell": each.cell, "figure": each.figure, "unit": each.unit}
        for index, value in enumerate(each.values):
            if value is not None:
                version, change = history.versions[index], changes.get(index)
                told = {"version": version.name, "date": version.date, "words": version.words, "value": value}
                step = {"changed": change is not None, "before": change and change.before, "why": change and change.why}
                rows.append({**facts, "machine": each.machine, **told, **step})
    return rows


def _series(name: Name, machine: str, found: Mapping[int, Figure], versions: int) -> Series:
    cell, figure, unit = name
    places = sorted(found)
    values = tuple(found[index].value if index in found else None for index in range(versions))
    changes = _levels(places, found) if machine else _steps(places, found)
    return Series(cell, figure, unit, machine, values, tuple(changes))


def _steps(places: Sequence[int], found: Mapping[int, Figure]) -> Iterator[Change]:
    earlier: Figure | None = None
    for index in places:
        figure = found[index]
        before = figure.before if figure.before is not None else earlier.value if earlier else figure.value
        if before != figure.value:
            other = earlier and earlier.context and figure.context and earlier.context != figure.context
            why = f"{earlier.context} -> {figure.context}" if earlier and other else ""
            yield Change(index, before, figure.value, why)
        earlier = figure


def _levels(places: Sequence[int], found: Mapping[int, Figure]) -> Iterator[Change]:
    times = [found[index].value for index in places]
    starts = change_points(times) if len(times) >= 2 * SMALLEST and can_look() else []
    for before, start, end in zip([0, *starts], starts, [*starts[1:], len(times)], strict=False):
        yield Change(places[start], median(times[before:start]), median(times[start:end]))


def _with_zeros(name: Name, found: dict[int, Figure], versions: Sequence[Version]) -> Mapping[int, Figure]:
    """A capture leaves out what is zero in a range that it has."""
    cell, figure, _ = name
    span = (cell, figure.partition(": ")[0])
    zero = {index: Figure(0.0) for index, version in enumerate(versions) if span in version.ranges}
    return zero | found


def _counted(cell: CountedCell) -> Iterator[tuple[Name, Figure]]:
    key = cell.key
    context = ", ".join(
        filter(None, (f"torch {key.torch_version}", key.attention_backend, key.cudnn and f"cuDNN {key.cudnn}"))
    )
    grids = " + ".join(map(grid_text, cell.grids[:3])) + ", ..." * (len(cell.grids) > 3)
    for when, forward in (("second", cell.warm), ("first", cell.cold)):
        for counter, value in forward.counters.items():
            yield (cell.name, f"{when} forward: {counter}", _unit(counter)), Figure(value, f"{context}, {grids}")


def _timed(cell: TimedCell, side: Contents) -> Iterator[tuple[Name, Figure]]:
    machine = side.fingerprint.machine_class if side.fingerprint else "a machine that is not told"
    ratio = median(trial.ratio for trial in cell.trials)
    yield (cell.name, f"time of {cell.reference}", "x"), Figure(ratio, machine=machine, timed=cell)
    yield (cell.name, "time", "s"), Figure(cell.seconds, machine=machine, timed=cell)
    torch = f"torch {side.fingerprint.torch}" if side.fingerprint else ""
    for counter, value in (cell.counts.model_dump() if cell.counts else {}).items():
        if isinstance(value, int):
            yield (cell.name, f"timed forward: {counter}", _unit(counter)), Figure(value, torch)


def _captured(cell: CapturedCell, called: str) -> Iterator[tuple[Name, Figure]]:
    context = f"{cell.source} {cell.version}, {', '.join(cell.gpus)}"
    for each in cell.ranges:
        for counter, value in each.counters.items():
            yield (called, f"{each.name}: {counter}", _unit(counter)), Figure(value, context)


def _judged(judged: Judged, name: str, date: str, words: str) -> Version:
    """Of verdicts only what moved has figures; their times name no machine, and are left out."""
    figures: dict[Name, Figure] = {
        (row.cell, move.name, move.unit): Figure(move.after, before=move.before)
        for row in judged.rows
        for move in row.moves
        if move.kind == "counter"
    }
    times = sum(row.measure == "time" and row.after is not None for row in judged.rows)
    notes = (f"{name}: {times} times of its verdicts name no machine, and are left out",) if times else ()
    return Version(name, date, words, figures, notes=notes)


def _unit(counter: str) -> str:
    return "B" if "bytes" in counter else ""
