"""The vote against a stored baseline: new trials, held against the trials that somebody accepted.

Nothing pairs a new trial with a stored one, and the stored median is itself a little off. That error is the same for
every new trial, in the first vote and in the one that confirms, so no majority can outvote it. Therefore the floor is
widened by how far trials reach from their median.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from vlbench.judging.verdict import CALLED, Floors, Judgement, Verdict, missing
from vlbench.judging.vote import outvoted, together, vote
from vlbench.judging.words import percent
from vlbench.stats.paired import Estimate

TOLD = 0.0005
"""By how much trials must differ before that is mentioned."""


def vote_against(stored: Sequence[Estimate], trials: Sequence[Estimate], floors: Floors) -> Judgement:
    """The verdict on new trials, whose ratio to the stored median takes the place of the ratio to the reference.

    `stored` and `trials` hold one paired ratio to the same reference per trial. The threshold stays what it is: where
    the widened floor reaches it, a row without enough votes is inconclusive. The estimate is new / stored, its interval
    made of the ends of both that lie furthest apart, so that it covers what either side leaves open.

    Simulated with normal trials that spread by 1 %, five a side: identical programs are called in 6 of 100,000 gates
    after confirmation, +5 % is called in 97 of 100; with 0.5 %, +3 % is called in 97 of 100.
    """
    if not stored:
        return missing("the baseline holds no trial of it")
    if not trials:
        return missing("no trial finished")
    before, estimate = together(stored), _change(stored, trials, 0)
    if len(stored) < (needed := floors.votes_needed(len(stored))):
        held = "1 trial is" if len(stored) == 1 else f"{len(stored)} trials are"
        few = f"{held} stored, and a verdict needs {needed}; store {floors.n} (`vlbench run --trials {floors.n}`)"
        return Judgement(Verdict.INCONCLUSIVE, few, estimate)
    shifted = [_over(trial, before.ratio) for trial in trials]
    reaches = {"stored": _reach(stored, floors), "new": _reach(shifted, floors)}
    whose = max(reaches, key=lambda name: reaches[name])
    wide = math.expm1(math.log1p(floors.relative) + reaches[whose])
    judged = vote(
        shifted, replace(floors, relative=wide, threshold=max(floors.threshold, math.nextafter(wide, math.inf)))
    )
    judged = replace(judged, **_told(judged, wide, whose, reaches[whose], floors), estimate=estimate)
    if judged.visible is None or estimate.half_width <= judged.visible:
        return judged
    if judged.verdict in CALLED:
        return replace(judged, visible=estimate.half_width)
    inner = _change(stored, trials, outvoted(len(trials), floors.votes_needed(len(trials))))
    seen = max(judged.visible, inner.half_width)
    judged = replace(judged, estimate=inner, visible=seen)
    if judged.verdict is not Verdict.SAME or seen <= floors.threshold:
        return judged
    blind = f"the two show changes from {percent(seen)} on, and the threshold is {percent(floors.threshold)}"
    return replace(judged, verdict=Verdict.INCONCLUSIVE, reason=blind)


def _change(stored: Sequence[Estimate], trials: Sequence[Estimate], left_out: int) -> Estimate:
    """New / stored, between the ends that lie furthest apart; of each side so many trials at each end are left out.

    Of a side that has too few for it two remain.
    """
    before, after = (together(side, outvoted(len(side), len(side) - left_out)) for side in (stored, trials))
    return Estimate(
        after.ratio / before.ratio,
        after.low / before.high,
        after.high / before.low,
        after.rounds,
        max(0.0, before.confidence + after.confidence - 1),  # Bonferroni
    )


def _told(judged: Judgement, wide: float, whose: str, reach: float, floors: Floors) -> dict[str, Any]:
    """Verdict and reason, where the widened floor has to be told."""
    apart = percent(math.expm1(reach))
    if judged.verdict in CALLED:
        why = f" (the floor is {percent(floors.relative)}, and the {whose} trials differ by {apart})"
        return {"reason": judged.reason + (why if reach > TOLD else "")}
    if judged.visible is None or wide < floors.threshold:
        return {}
    reason = (
        f"the {whose} trials differ so much among themselves that only changes beyond {percent(wide)} are called, "
        f"and the threshold is {percent(floors.threshold)}; measure both on a quieter machine"
    )
    return {"verdict": Verdict.INCONCLUSIVE, "reason": reason}


def _reach(trials: Sequence[Estimate], floors: Floors) -> float:
    """How far from their median, in logarithms, as many trials lie as a vote needs; the others may be as odd as can be.

    For five normal trials it covers the true median in 85 % of cases. The wider of both sides' reaches is taken, for
    five trials may agree by luck, and seldom do so twice.
    """
    logs = [math.log(trial.ratio) for trial in trials]
    centre = median(logs)
    distances = sorted(abs(each - centre) for each in logs)
    return distances[min(len(logs), floors.votes_needed(len(logs))) - 1]


def _over(trial: Estimate, ratio: float) -> Estimate:
    return replace(trial, ratio=trial.ratio / ratio, low=trial.low / ratio, high=trial.high / ratio)
