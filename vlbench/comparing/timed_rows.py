"""A stored cell beside the group that measured it again: its row about time, and its row about accuracy."""

import math
from collections.abc import Iterator
from statistics import median

from vlbench.comparing.timed_cells import cell_of, stored_trials
from vlbench.comparing.timed_plans import row_of
from vlbench.judging.instances import proves_nothing
from vlbench.judging.judged import JudgedRow, Move
from vlbench.judging.stages import named, stage_moves
from vlbench.judging.stored import vote_against
from vlbench.judging.summary import estimates, trials_of, why_inaccurate, worst_accuracy
from vlbench.judging.verdict import Floors, Judgement, Verdict
from vlbench.judging.vote import settled
from vlbench.record.baseline import TimedCell
from vlbench.record.schema import CellGroup, Counts

UNIT = "x the reference"


def floors_of(cell: TimedCell, trials: int) -> Floors:
    """What a vote of `trials` trials must exceed: the floors of the cell, and the usual share of the votes."""
    usual = Floors()
    return Floors(relative=cell.floor, threshold=cell.threshold, k=math.ceil(trials * usual.k / usual.n), n=trials)


def judgement_of(cell: TimedCell, group: CellGroup, floors: Floors, *, first: bool = False) -> Judgement:
    """The vote against the stored trials, and the second one over suspects unless the `first` alone is asked for."""
    row, stored = row_of(group, cell), stored_trials(cell)
    votes, again = (estimates(group, row, cell.state, confirms=confirms) for confirms in (False, True))
    judged = vote_against(stored, votes, floors)
    if first:
        return judged
    second = vote_against(stored, again, floors) if again else None
    return settled(judged, second, group.lost, proves_nothing(group, Floors(), cell.state))


def time_row(cell: TimedCell, group: CellGroup, floors: Floors, *, gates: bool = True) -> JudgedRow:
    """The verdict on a cell whose output is right; its reason names the stage that moved most."""
    now = cell_of(group, row_of(group, cell), cell.state, cell.scenario)
    if (reason := _why_missing(cell, group, floors)) or now is None:
        return JudgedRow.missing(cell.name, "time", reason or "no time was given to measure", gates=gates)
    row = changed_row(cell, now, judgement_of(cell, group, floors))
    return row.model_copy(update={"gates": gates, "moves": (*row.moves, *counter_moves(cell.counts, now.counts))})


def changed_row(before: TimedCell, after: TimedCell, judgement: Judgement) -> JudgedRow:
    """The row of two cells that were compared, with the stages that moved."""
    old = median(trial.ratio for trial in before.trials)
    forward = after.seconds / median(trial.ratio for trial in after.trials)
    stages = stage_moves(before.stages, after.stages, forward, before.floor, judgement.verdict)
    new = old * judgement.estimate.ratio if judgement.estimate else None
    return explained_row(before.name, judgement, stages, before=old, after=new, unit=UNIT)


def explained_row(
    cell: str, judgement: Judgement, stages: tuple[Move, ...], *, before: float, after: float | None, unit: str
) -> JudgedRow:
    """The row of a judgement about time, whose reason names the stage that moved most; both figures are in `unit`."""
    reason = "; ".join(filter(None, [judgement.reason, named(stages, judgement.verdict)]))
    return JudgedRow.of(cell, judgement, reason=reason, before=before, after=after, unit=unit, moves=stages)


def accuracy_row(cell: TimedCell, group: CellGroup) -> JudgedRow:
    """Is the output of the cell right, by the worst of its trials and of its reference's?"""
    verdict, reason = Verdict.MISSING, _why_unchecked(cell, group)
    for name in (cell.reference, cell.variant):
        if wrong := why_inaccurate(worst_accuracy(trials_of(group, name))):
            whose = "" if name == cell.variant else f"its reference {name}: "
            verdict, reason = Verdict.INACCURATE, f"{whose}{wrong}"
            break
    if not reason:
        verdict, reason = Verdict.SAME, f"its output is right, by what {cell.exactness} asks for"
    return JudgedRow(cell=cell.name, measure="accuracy", verdict=verdict, reason=reason)


def counter_moves(before: Counts | None, after: Counts | None) -> Iterator[Move]:
    """Counts that are not what they were; they explain, and do not gate."""
    if before is None or after is None:
        return
    for name in Counts.model_fields:
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            yield Move(kind="counter", name=name, before=old, after=new)


def _why_missing(cell: TimedCell, group: CellGroup, floors: Floors) -> str:
    """Why no vote can be held on a cell; "" where one can."""
    if reason := _why_unchecked(cell, group):
        return reason
    trials = len(estimates(group, row_of(group, cell), cell.state))
    if trials >= floors.k:
        return ""
    untimed = [one.not_measured for one in trials_of(group, cell.variant) if one.not_measured]
    few = f"{trials} of {floors.n} trials finished, and the vote needs {floors.k}"
    return "; ".join([few, *dict.fromkeys([*group.lost, *untimed])][:2])


def _why_unchecked(cell: TimedCell, group: CellGroup) -> str:
    """The end of the process that called it, or of every process; "" where its output was looked at."""
    seen = [one for name in (cell.reference, cell.variant) for one in trials_of(group, name)]
    ended = [one.not_measured for one in seen if one.accuracy is None and one.not_measured]
    if ended or not trials_of(group, cell.variant):
        return [*ended, *group.lost, "no trial was run"][0]
    return ""
