"""Two sides beside each other: every row that both hold, judged by one rule, and every other, with why it is not."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from vlbench.comparing.absolute import absolute_times
from vlbench.comparing.captured import captured_notes, judge_captured, judge_captures
from vlbench.comparing.contents import KINDS, Cell, Contents, Failed, Key, Source, contents_of, is_capture, of_report
from vlbench.comparing.counted import judge_cells
from vlbench.comparing.runs import left_out, meant_to_differ, read_sides, run_rows
from vlbench.comparing.timed_cells import difference, stored_trials
from vlbench.comparing.timed_rows import changed_row, counter_moves
from vlbench.errors import IncomparableError, UsageError
from vlbench.judging.judged import Judged, JudgedRow, Measure
from vlbench.judging.stored import vote_against
from vlbench.judging.unpaired import RunFloors
from vlbench.judging.verdict import Floors, Verdict
from vlbench.record.baseline import CapturedCell, CountedCell, TimedCell
from vlbench.record.counted import CountReport
from vlbench.record.directions import Better
from vlbench.record.fingerprint import comparable


def compare(before: Source, after: Source, *, command: str = "diff", allow_inconclusive: bool = False) -> Judged:
    """`after` held against `before`: every cell that both hold is a row with a verdict, and so is every other.

    A side is what vlbench measured (results, a baseline, a report of counts; as an object or as the path of its file),
    a capture of Nsight Systems or the torch profiler by its path, or the path of results of another benchmark tool; of
    those a pattern such as `old-*.json` may stand for several runs. `command` is what the reports are titled.

    Times of ours are judged by a vote of trials against trials, within one class of machine; counts exactly; runs of
    other tools by `compare_runs`, with its usual floors. Raises UsageError for a file that cannot be read,
    IncomparableError where the two have nothing in common.
    """
    if is_capture(before) and is_capture(after):
        return judge_captures(str(before), str(after), command=command)
    old, new = contents_of(before), contents_of(after)
    if old and new:
        unsealed = [side for side in (old, new) if side.unsealed]
        return Judged(
            command=command,
            before=old.words,
            after=new.words,
            rows=tuple(_rows(old, new)),
            notes=(
                *(f"{side.source}: {side.unsealed}; its times are shown, and have no say" for side in unsealed),
                *captured_notes(old.captured.values(), {cell.name: cell for cell in new.captured.values()}),
                *absolute_times(old, new),
            ),
            allow_inconclusive=allow_inconclusive,
        )
    if old or new:
        ours, other = (old, after) if old else (new, before)
        assert ours
        if not Path(str(other)).exists():
            raise UsageError(f"{other}: no such file; give results, a baseline or a count")
        raise IncomparableError(
            f"{ours.source} is of vlbench and {other} is not: what they hold was not measured alike; give two of a kind"
        )
    return compare_runs_of([str(before)], [str(after)], command=command, allow_inconclusive=allow_inconclusive)


def compare_towers(
    report: CountReport, before: str, after: str, other: CountReport | None = None, *, allow_inconclusive: bool = False
) -> Judged:
    """Two towers of one count, or `after` of another one, point by point."""
    rows = tuple(_rows(of_report(before, report, before), of_report(after, other or report, after)))
    return Judged(command="count --diff", before=before, after=after, rows=rows, allow_inconclusive=allow_inconclusive)


def compare_runs_of(
    before: Sequence[str],
    after: Sequence[str],
    *,
    floors: RunFloors | None = None,
    reader: str | None = None,
    metrics: Sequence[str] = (),
    compared: Sequence[str] = (),
    options: tuple[str, str] = ("A", "B"),
    better: Mapping[str, Better] | None = None,
    command: str = "judge",
    allow_inconclusive: bool = False,
) -> Judged:
    """Results of other benchmark tools, files or patterns a side: a row per metric, judged by `compare_runs`.

    `reader` names their format, which is found out by default; `metrics` are patterns of the names to judge; `compared`
    are conditions that may differ; `options` are what messages call the sides; `better` says which way metrics are good
    where their words do not. Fewer than three runs a side are inconclusive, for nothing pairs them. Raises UsageError.
    """
    floors = floors or RunFloors()
    old, new, meant = meant_to_differ(*read_sides(before, after, reader, options, better), compared)
    return Judged(
        command=command,
        before=", ".join(before),
        after=", ".join(after),
        rows=tuple(run_rows(old, new, floors, metrics)),
        notes=(*meant, *left_out((*old, *new))),
        allow_inconclusive=allow_inconclusive,
        false_alarms=1 - floors.confidence,
    )


def _rows(old: Contents, new: Contents) -> Iterator[JudgedRow]:
    """The rows of every kind of cell that either file holds any of, and the other could."""
    kinds = [kind for kind in KINDS if kind in old.kinds and kind in new.kinds]
    common = [kind for kind in kinds if getattr(old, kind).keys() & getattr(new, kind).keys()]
    if not common:
        raise IncomparableError(
            f"{old.source} holds {old.listed} and {new.source} {new.listed}: they have none in common; "
            "compare files of the same towers and scenarios"
        )
    for kind in kinds:
        for key in dict.fromkeys((*getattr(old, kind), *getattr(new, kind))):
            for row in _pair(old, new, key, kind):
                sealed = kind != "timed" or not (old.unsealed or new.unsealed)
                yield row if sealed else row.model_copy(update={"gates": False})


def _pair(old: Contents, new: Contents, key: Key, kind: str) -> Iterator[JudgedRow]:
    match getattr(old, kind).get(key), getattr(new, kind).get(key):
        case CountedCell() as a, CountedCell() as b:
            yield judge_cells(a, b, new.advice.get(key))
        case CapturedCell() as a, CapturedCell() as b:
            yield judge_captured(a, b)
        case TimedCell() as a, TimedCell() as b:
            yield from _timed(old, new, a, b)
        case a, b:
            yield _one_sided(old, new, a, b, "time" if kind == "timed" else "counters")


def _timed(old: Contents, new: Contents, a: TimedCell, b: TimedCell) -> Iterator[JudgedRow]:
    if reason := difference(a, b):
        yield JudgedRow.missing(a.name, "time", reason)
        return
    assert old.fingerprint
    assert new.fingerprint
    if machines := comparable(old.fingerprint, new.fingerprint):
        reason = f"from two classes of machine, and times do not travel ({'; '.join(machines)})"
        yield JudgedRow.missing(a.name, "time", reason)
    else:
        floors = Floors(relative=a.floor, threshold=a.threshold)
        yield changed_row(a, b, vote_against(stored_trials(a), stored_trials(b), floors))
    if a.counts and b.counts:
        torches = (old.fingerprint.torch, new.fingerprint.torch)
        if torches[0] == torches[1]:
            yield _operations(a, b)
        else:
            reason = f"counted with torch {' and '.join(torches)}: such counts do not compare"
            yield JudgedRow.missing(a.name, "counters", reason)
    elif a.counts or b.counts:
        reason = f"{(old if b.counts else new).source} does not have what a warm forward asks for; measure it again"
        yield JudgedRow.missing(a.name, "counters", reason)


def _operations(a: TimedCell, b: TimedCell) -> JudgedRow:
    """What the trials saw a warm forward ask for: exact, so that any rise is one."""
    moves = tuple(counter_moves(a.counts, b.counts))
    told = ", ".join(f"{move.name.replace('_', ' ')} {move.before:,.0f} -> {move.after:,.0f}" for move in moves)
    return JudgedRow.counted(a.name, moves, "a warm forward asks for the same", f"a warm forward: {told}")


def _one_sided(old: Contents, new: Contents, a: Cell | None, b: Cell | None, measure: Measure) -> JudgedRow:
    """A row without figures on one side. What is wrong now is inaccurate; what was wrong before is just no help."""
    if isinstance(b, Failed) and b.inaccurate:
        reason = f"{new.source}: {b.reason}"
        return JudgedRow(cell=b.name, measure="accuracy", verdict=Verdict.INACCURATE, reason=reason)
    there = a or b
    assert there is not None
    for side, cell in ((old, a), (new, b)):
        if isinstance(cell, Failed):
            return JudgedRow.missing(there.name, measure, f"{side.source}: {cell.reason}")
    lacking = new if b is None else old
    return JudgedRow.missing(there.name, measure, f"{lacking.source} does not have it; was it renamed, or left out?")
