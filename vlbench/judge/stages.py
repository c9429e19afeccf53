"""Where a forward's time went, and which stage is why it takes longer or shorter than before.

Stages are timed in rounds of their own, trial by trial, so they are held against the reference's forward of the same
trial: whatever slows a whole process cancels out. They explain a change that the vote called and are never judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median

from vlbench.judge.judged import Move
from vlbench.judge.verdict import Verdict
from vlbench.record.schema import Trial


def stage_shares(trials: Iterable[Trial], name: str, reference: str) -> dict[str, float]:
    """Self time by stage of the variant `name`, as a share of the reference's forward; medians over trials.

    A stage that a trial did not see took no time in it. Empty where no trial timed the stages of both.
    """
    found: list[dict[str, float]] = []
    for trial in trials:
        ours, theirs = trial.find(name), trial.find(reference)
        whole = sum(theirs.stages.values()) if theirs else 0.0
        if ours and ours.stages and whole:
            found.append({stage: seconds / whole for stage, seconds in ours.stages.items()})
    stages = dict.fromkeys(stage for each in found for stage in each)
    return {stage: median(each.get(stage, 0.0) for each in found) for stage in stages}


def stage_moves(
    before: Mapping[str, float], after: Mapping[str, float], forward: float, floor: float, verdict: Verdict
) -> tuple[Move, ...]:
    """Stages that moved by `floor`, a share of the reference's forward, or more; in seconds of that forward now.

    Those that moved as the verdict says come first, the largest change first; where it says nothing, those that rose.
    Nothing where one side did not time stages. `forward` is the reference's time of a call.
    """
    if not (before and after):
        return ()
    sign = -1 if verdict is Verdict.IMPROVED else 1
    moves = [
        Move(kind="stage", name=name, before=forward * old, after=forward * new, unit="s")
        for name in dict.fromkeys((*before, *after))
        if abs((new := after.get(name, 0.0)) - (old := before.get(name, 0.0))) >= floor
    ]
    return tuple(sorted(moves, key=lambda move: sign * (move.before - move.after)))


def named(moves: Iterable[Move], verdict: Verdict) -> str:
    """The stage that moved most as the verdict says, as the end of a sentence; "" where none did."""
    wanted = {Verdict.REGRESSED: 1, Verdict.IMPROVED: -1}.get(verdict, 0)
    for move in moves:
        change = move.after - move.before
        if move.kind == "stage" and wanted * change > 0:
            return f"most of it in the stage {move.name}, {1e3 * change:+.3g} ms"
    return ""
