"""Where a forward's time went, and which stage is why it takes longer or shorter than before.

Stages are timed in a few rounds of their own, all variants in turn, in which somebody listens. So they say only how a
forward divides; how long it is comes from the paired rounds. Stages explain a change that the vote called and are never
judged.
"""

from collections.abc import Iterable, Mapping
from statistics import median

from vlbench.judging.judged import Move
from vlbench.judging.ratios import trial_ratio
from vlbench.judging.verdict import Verdict
from vlbench.record.schema import Trial, VariantTrial

SIGN = {Verdict.REGRESSED: 1, Verdict.IMPROVED: -1}


def stage_shares(trials: Iterable[Trial], name: str, reference: str) -> dict[str, float]:
    """Self time by stage of the variant `name`, warm, as a share of the reference's forward; medians over trials.

    They add up to about the variant's ratio. A stage that a trial did not see took no time in it. Empty where no trial
    timed the stages.
    """
    found: list[dict[str, float]] = []
    for trial in trials:
        ours, ratio = trial.find(name), trial_ratio(trial, name, reference, "warm")
        if ours and ratio and (whole := sum(ours.stage_seconds.values())):
            found.append({stage: ratio.ratio * seconds / whole for stage, seconds in ours.stage_seconds.items()})
    stages = dict.fromkeys(stage for each in found for stage in each)
    return {stage: median(each.get(stage, 0.0) for each in found) for stage in stages}


def shares_by_round(variants: Iterable[VariantTrial]) -> list[dict[str, float]]:
    """Of each round that told the stages of a variant, each one's share of that forward."""
    rounds = [
        dict(zip(variant.stages, times, strict=True))
        for variant in variants
        for times in zip(*variant.stages.values(), strict=True)
    ]
    return [{stage: one[stage] / sum(one.values()) for stage in one} for one in rounds if sum(one.values())]


def stage_moves(
    before: Mapping[str, float], after: Mapping[str, float], forward: float, floor: float, verdict: Verdict
) -> tuple[Move, ...]:
    """Stages that moved by `floor`, a share of the reference's forward, or more, in seconds of that forward now.

    Those that moved as the verdict says come first, the largest change first. Nothing where it calls no change, for
    stages are too noisy to show one by themselves, or where one side did not time them. `forward` is the reference's
    time of a call.
    """
    sign = SIGN.get(verdict)
    if sign is None or not (before and after):
        return ()
    moves = [
        Move(kind="stage", name=name, before=forward * old, after=forward * new, unit="s")
        for name in dict.fromkeys((*before, *after))
        if abs((new := after.get(name, 0.0)) - (old := before.get(name, 0.0))) >= floor
    ]
    return tuple(sorted(moves, key=lambda move: sign * (move.before - move.after)))


def named(moves: Iterable[Move], verdict: Verdict) -> str:
    """The stage that moved most as the verdict says, as the end of a sentence; "" where none did."""
    for move in moves:
        change = move.after - move.before
        if move.kind == "stage" and SIGN.get(verdict, 0) * change > 0:
            return f"most of it in the stage {move.name}, {1e3 * change:+.3g} ms"
    return ""
