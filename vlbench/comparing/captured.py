"""A capture from a GPU as evidence: what each range asked of it, held against an accepted capture.

A program's counts are the same in every forward, on a quiet and on a busy machine (692 launches in each of 15 forwards
that took 27 to 350 ms); its first pass through a range loads modules and fills pools, and is left out. Where instances
differ throughout, as 4 full layers among 28 windowed ones do, their mean is gated. A counter that varies otherwise over
the rest proves nothing and is not gated; one that was steady and varies now is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vlbench.errors import UsageError
from vlbench.judging.judged import Judged, JudgedRow, Move
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import few, number_of
from vlbench.nsys.comparable import notes, obstacles, uncounted
from vlbench.record.baseline import CapturedCell, CapturedRange

if TYPE_CHECKING:
    import pandas as pd

    from vlbench.nsys.compare import Difference

STEADY = 0.9
"""The share of instances that must agree on a counter before it is gated on."""
FEWEST = 2
"""Instances of a range, after the first, that are evidence."""
DATA = ("copies[", "bytes[")
"""How counters of copied data begin, each of which has a name that the capture gives."""
NOT_ALIKE = "they do not compare: "


def captured_cell(path: Path, pattern: str | None = None) -> CapturedCell:
    """The cell of a capture, of the ranges whose `domain:name` holds `pattern`. Raises UsageError."""
    from vlbench.nsys.compare import origin_of
    from vlbench.nsys.measured import losses, unknown_calls
    from vlbench.nsys.projection import project
    from vlbench.nsys.read import load
    from vlbench.nsys.summary import counters, given_pattern, labels

    capture = load(path)
    lost, strange = losses(capture), unknown_calls(capture)
    if strange:
        lost = [*lost, f"no table knows its API calls {', '.join(strange[:5])}"]
    if lost:
        raise UsageError(f"{path}: {lost[0]}, so its counts are no evidence; capture again")
    table = project(capture)
    wanted = given_pattern("--range", pattern or "")
    found = [
        _range(str(label), instances, counters(table))
        for label, instances in table.groupby(labels(table), observed=True, sort=False)
        if len(instances) > FEWEST and wanted.search(str(label))
    ]
    if not found:
        what = f"that fits {pattern!r} " if pattern else ""
        raise UsageError(
            f"{path}: no range {what}was gone through {FEWEST + 1} times or more, so no count is known to be steady; "
            "capture more iterations, or name other ranges"
        )
    if not (len(capture.api) or len(capture.gpu_ops)):
        raise UsageError(f"{path}: it holds no CUDA activity; capture a run that uses a GPU")
    return CapturedCell(name=path.name.partition(".")[0], ranges=tuple(found), **vars(origin_of(capture)))


def judge_captured(stored: CapturedCell, new: CapturedCell) -> JudgedRow:
    """One row for the whole capture; it is missing where the two do not count the same things."""
    cell = f"capture {stored.name}, {', '.join(stored.gpus) or 'unknown GPU'}"
    if found := obstacles(stored, new, "the baseline", "this"):
        return JudgedRow.missing(cell, "counters", f"{NOT_ALIKE}{'; '.join(found)}")
    ranges = {each.name: each for each in new.ranges}
    gone = [each.name for each in stored.ranges if each.name not in ranges]
    if gone:
        reason = f"the range {few(gone, 1)} is not in the new capture, or not often enough"
        return JudgedRow.missing(cell, "counters", reason)
    for each in stored.ranges:
        if lacking := _lacking(each, ranges[each.name]):
            return JudgedRow.missing(cell, "counters", lacking)
    moves = [
        move
        for each in stored.ranges
        for move in _moves(each, ranges[each.name], stored.bands)
        if move.name.partition("[")[0] not in stored.unmeasured | new.unmeasured
    ]
    compared = sum(len(each.counters) for each in stored.ranges)
    same = f"{number_of(compared, 'counter')} of {number_of(len(stored.ranges), 'range')} are what they were"
    row = JudgedRow.counted(cell, sorted(moves, key=lambda move: move.before - move.after), same)
    if told := not_counted(stored, new):
        return row.model_copy(update={"verdict": Verdict.MISSING, "reason": "; ".join((*told, row.reason))})
    return row


def not_counted(stored: CapturedCell, new: CapturedCell) -> list[str]:
    """Why equal counters would not mean the same work, as `vlbench nsys diff` says it."""
    old, now = ({each.name: each.instances + 1 for each in side.ranges} for side in (stored, new))
    both = old.keys() & now.keys()
    share = sum(now[name] for name in both) / max(sum(old[name] for name in both), 1)
    return uncounted(stored, new, share, "the baseline", "this capture")


def captured_notes(stored: Iterable[CapturedCell], new: Mapping[str, CapturedCell]) -> list[str]:
    """What a reader of two captures has to know, as `vlbench nsys diff` says it; `new` has them by name."""
    pairs = ((each, new[each.name]) for each in stored if each.name in new)
    return [f"capture {each.name}: {note}" for each, now in pairs for note in notes(each, now)]


def judge_captures(before: str, after: str, command: str = "diff") -> Judged:
    """Two captures, by their paths. Raises UsageError."""
    from vlbench.nsys.compare import diff
    from vlbench.nsys.read import load

    return judge_difference(diff(load(before), load(after)), before, after, command)


def judge_difference(found: Difference, before: str, after: str, command: str = "nsys diff") -> Judged:
    """What a gate would say of it, a row for each range: times have no say.

    `before` and `after` name the captures. A range that is new is noted; one that is gone is missing.
    """
    if found.obstacles:
        rows = [JudgedRow.missing("the captures", "counters", f"{NOT_ALIKE}{'; '.join(found.obstacles)}")]
        return Judged(command=command, before=before, after=after, rows=tuple(rows))
    rows = [JudgedRow.missing("the captures", "counters", each) for each in found.uncounted]
    rows += [JudgedRow.missing(name, "counters", "the range is not in the new capture") for name in found.vanished]
    moves: dict[str, list[Move]] = {name: [] for name in found.compared}
    for row in found.counters.to_dict("records"):
        moves[row["range"]].append(_move(row["counter"], row["a"], row["b"]))
    rows += [JudgedRow.counted(name, each, "every counter is what it was") for name, each in moves.items()]
    notes = (*found.notes, *(f"the range {name} is new" for name in found.appeared))
    return Judged(command=command, before=before, after=after, rows=tuple(rows), notes=notes)


def _range(name: str, instances: pd.DataFrame, names: list[str]) -> CapturedRange:
    kept = instances.sort_values("start", kind="stable").iloc[1:]
    usual: dict[str, int] = {}
    mixed: dict[str, tuple[float, int]] = {}
    unsteady = []
    for counter in names:
        values = kept[counter]
        value = int(values.mode().iloc[0])
        others = (values != value).to_numpy()
        halves = [half.sum() for half in (others[: len(kept) // 2], others[(len(kept) + 1) // 2 :])]
        if min(halves) and max(halves) - min(halves) <= 1:
            mixed[counter] = (float(values.mean()), int(values.max()))
        elif others.mean() > 1 - STEADY:
            unsteady.append(counter)
        elif value:
            usual[counter] = value
    return CapturedRange(name=name, instances=len(kept), counters=usual, mixed=mixed, unsteady=tuple(unsteady))


def _lacking(before: CapturedRange, after: CapturedRange) -> str | None:
    """Which counter of `before` is not known of `after`, None where all are. A counter that is not listed is zero."""
    from vlbench.nsys.projection import COUNTS

    for name in before.counters:
        if name not in COUNTS and not name.startswith(DATA):
            return f"the counter {name} of {before.name} is not known to this vlbench, so it was not counted"
    for name in after.unsteady:
        if name not in before.unsteady:
            was = before.mixed.get(name, (before.counters.get(name, 0), 0))[0]
            return f"{name} of {before.name} was {was:,g} and now varies, so nothing is known of it"
    return None


def _moves(before: CapturedRange, after: CapturedRange, bands: Mapping[str, float]) -> list[Move]:
    found = []
    for name in dict.fromkeys((*before.counters, *after.counters, *before.mixed, *after.mixed)):
        (old, most), (new, also) = (
            (side.mixed.get(name) or (side.counters.get(name, 0), 0)) for side in (before, after)
        )
        # A capture that is cut within a forward has a layer more or less than its share.
        slack = max(most, also) / min(before.instances, after.instances) if name in before.mixed else 0
        if name not in before.unsteady and abs(new - old) > max(bands.get(name, 0.0) * old, slack):
            found.append(_move(name, old, new, before.name))
    return found


def _move(counter: str, before: float, after: float, stage: str = "") -> Move:
    unit: Literal["B", ""] = "B" if counter.startswith("bytes[") else ""
    return Move(kind="counter", name=counter, before=before, after=after, unit=unit, stage=stage)
