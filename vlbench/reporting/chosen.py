"""Which set of flags a run speaks for, and what the first screen says of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import exp, fsum, log

from vlbench.export.result_tables import class_of, error_text, facts, speed_up_of
from vlbench.export.results import is_voted
from vlbench.export.sheet import Cell, Value
from vlbench.implementations.floor import NAME as FLOOR
from vlbench.judging.busy import busy, throttled
from vlbench.judging.instances import proves_nothing
from vlbench.judging.quick import FAMILY
from vlbench.judging.summary import Summary, hold_together, summaries, why_incomplete
from vlbench.judging.verdict import Floors, Verdict
from vlbench.judging.words import milliseconds, number_of, speedup_with_interval
from vlbench.record.files import why_unsealed
from vlbench.record.schema import CellGroup, Results
from vlbench.reporting.page import Answer, Tile


def held_against(group: CellGroup, name: str) -> list[Summary]:
    """The rows as they would be if each was taken to the row `name`; only that row is its own reference then."""
    rows = [row.model_copy(update={"reference": name}) for row in group.rows]
    return summaries(group.model_copy(update={"rows": tuple(rows)}), Floors())


@dataclass(frozen=True)
class Sweep:
    """Groups of a file that differ in their point alone, with every row held against the first."""

    groups: Sequence[CellGroup]
    found: Sequence[Sequence[Summary]]

    @property
    def where(self) -> str:
        """What was measured, in one line."""
        first = self.groups[0]
        known = facts(first)
        parts = [str(known[name]) for name in ("scenario", "model", "dtype", "device") if name in known]
        threads = f", {number_of(first.threads, 'thread')}" if first.device == "cpu" else ""
        points = f", {len(self.groups)} points" if len(self.groups) > 1 else f" [{first.point}]" if first.point else ""
        return f"{', '.join(parts)}{threads}{points}"

    def of(self, name: str) -> list[Summary]:
        """A row at every point."""
        return [each for found in self.found for each in found if each.row.name == name]


def sweeps_of(results: Results) -> list[Sweep]:
    """The groups of a file, those that belong together in one."""
    found = []
    for _, several in groupby(results.groups, key=_all_but_the_point):
        groups = list(several)
        found.append(Sweep(groups, [held_against(group, group.rows[0].name) for group in groups]))
    return found


def chosen(sweep: Sweep) -> list[Summary]:
    """The set that the run speaks for, at every point; empty where no row was right and timed at each of them.

    It is the first row that is not told apart from the fastest: a preset before single flags, the whole before what
    lacks a flag, of a ladder the shortest that is as fast. Where nothing is, there is no such set.
    """
    timed = _timed(sweep)
    fastest = min(timed, key=_mean_ratio, default=[])
    return next((each for each in timed if all(map(_overlap, each, fastest))), [])


def _timed(sweep: Sweep) -> list[list[Summary]]:
    rows = [sweep.of(row.name) for row in sweep.groups[0].rows[1:] if row.name != FLOOR and row.plan == "inside"]
    return [each for each in rows if len(each) == len(sweep.groups) and all(map(_is_right_and_timed, each))]


def answer_of(results: Results, sweep: Sweep) -> Answer:
    """Which set, how much faster, is it right, on what machine."""
    found, first = chosen(sweep), sweep.groups[0]
    machine = Tile("On what machine", _machine(results), _how_busy(sweep))
    right = Tile("Is it right", *_right(found, sweep))
    if not found:
        nothing = Cell("none", None, "warn")
        why = "no row was right and timed at every point" if len(sweep.groups) > 1 else "no row was right and timed"
        faster = Tile("How much faster", Cell("-", None, "warn"), "nothing can be said")
        return Answer(sweep.where, [Tile("Which set", nothing, why), faster, right, machine])
    row = found[0].row
    flags = row.flags or ()
    of = f"{number_of(len(flags), 'flag')}, " if flags else ""
    fastest = min(_timed(sweep), key=_mean_ratio)[0].row.name
    told = "the fastest row" if fastest == row.name else f"not told apart from the fastest row, {fastest}"
    which = Tile("Which set", Cell(row.name, row.name), f"{of}{told}")
    if not any(each.effect == "faster" for each in found):
        which, flags = Tile("Which set", Cell("none shown", None, "warn"), f"{row.name}, {of}{told}"), ()
    return Answer(sweep.where, [which, Tile("How much faster", *_faster(found, first)), right, machine], flags)


def _faster(found: Sequence[Summary], first: CellGroup) -> tuple[Cell, str]:
    """The speed-up and how sure it is; over several points from the least to the most."""
    reference, sure = first.rows[0].name, sum(each.effect == "faster" for each in found)
    tone = "good" if sure == len(found) else "warn"
    if len(found) > 1:
        ups = [each.estimate.speedup for each in found if each.estimate]
        values: dict[str, Value] = {"speed_up_least": min(ups), "speed_up_most": max(ups)}
        words = f"than {reference}, by point; shown to be faster at {sure} of {len(found)}"
        return Cell(f"{min(ups):.2f}x to {max(ups):.2f}x", values, tone), words
    (each,) = found
    assert each.estimate is not None
    level = f"{100 * (1 - FAMILY if hold_together(first, found) else each.estimate.confidence):.0f} %"
    middle, _, ends = speedup_with_interval(each.estimate).partition(" ")
    shown = {"faster": "confirmed", "slower": "it is slower"}.get(each.effect, "not shown to be faster")
    how = shown if is_voted(first) or each.effect == "unclear" else f"{shown} by a second process, no verdict yet"
    return Cell(
        f"{middle}x", speed_up_of(each.estimate), tone
    ), f"than {reference}, {ends} at {level}; {milliseconds(each.seconds)} ms; {how}"


def _right(found: Sequence[Summary], sweep: Sweep) -> tuple[Cell, str]:
    """Of the set, then of all rows."""
    every = [each for point in sweep.found for each in point if each.row.name != each.row.reference]
    checked = [each for each in every if each.accuracy]
    passed = sum(each.accuracy.passed for each in checked if each.accuracy)
    unchecked = f", {len(every) - len(checked)} not checked" if len(checked) < len(every) else ""
    rows = f"{passed} of {len(checked)} rows passed{unchecked}" if checked else "no row was checked"
    if not found:
        return Cell("-", None, "warn"), rows
    worst = max((each.accuracy for each in found if each.accuracy), key=lambda each: each.fp32_error or 0.0)
    error, limit = worst.fp32_error or 0.0, worst.fp32_limit
    allowed = "equal bits asked for" if limit == 0 else f"allowed {error_text(limit)}"
    told = f"{class_of(found[0])}: error {error_text(error, 1)}, {allowed}; {rows}"
    return Cell("yes", {"fp32_error": error, "fp32_limit": limit, "passed": True}, "good"), told


def _how_busy(sweep: Sweep) -> str:
    """What tells of a busy machine or a throttled GPU while anything was timed."""
    marks = [mark for group in sweep.groups for mark in (busy(group), throttled(group)) if mark]
    if marks:
        return f"{marks[0].partition(':')[0]}, see the warning"
    timed = any(each.timings for group in sweep.groups for trial in group.trials for each in trial.variants)
    return "nothing tells of a busy machine" if timed else "not known how busy: nothing was timed"


def _machine(results: Results) -> Cell:
    print_ = results.fingerprint
    return Cell(print_.gpu or f"{print_.cpu}, {print_.cores} cores", print_.machine_class)


def _is_right_and_timed(each: Summary) -> bool:
    return each.estimate is not None and each.judgement.verdict is not Verdict.INACCURATE


def _mean_ratio(points: Sequence[Summary]) -> float:
    return exp(fsum(log(each.estimate.ratio) for each in points if each.estimate) / len(points))


def _overlap(one: Summary, other: Summary) -> bool:
    a, b = one.estimate, other.estimate
    return a is not None and b is not None and a.low <= b.high and b.low <= a.high


def _all_but_the_point(group: CellGroup) -> tuple[object, ...]:
    return (group.scenario, group.model, group.dtype, group.device, group.threads, *(row.name for row in group.rows))


def warnings_of(results: Results) -> Iterator[str]:
    """What a reader has to know before any figure, a sentence each."""
    if reason := why_unsealed(results):
        yield f"{reason}: nothing shows whether a figure was edited"
    if why := why_incomplete(results):
        yield f"not complete: {why}"
    told: dict[str, list[str]] = {}
    for group in results.groups:
        for mark in filter(None, (busy(group), throttled(group), proves_nothing(group, Floors(), "warm"))):
            told.setdefault(mark.partition(":")[0], []).append(mark)
    for first, *others in told.values():
        yield f"{first} (and at {len(others)} of {len(results.groups) - 1} other points)" if others else first


def limits_of(groups: Sequence[CellGroup]) -> Iterator[str]:
    """What no speed-up in them says, a sentence each."""
    if any(group.device == "cpu" for group in groups):
        yield "a time on a CPU says nothing of a GPU"
    if any(group.rows[0].is_reference and group.rows[0].tower is None for group in groups):
        yield "the reference tower is slower than any one stack was: a speed-up over it is not what a stack would gain"
