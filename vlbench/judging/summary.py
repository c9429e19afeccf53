"""A cell group as rows to show: each variant's times, its speed-up with an interval, and the verdict on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from vlbench.judging.ratios import trial_ratio
from vlbench.judging.verdict import Floors, Judgement, Verdict, inaccurate, missing
from vlbench.judging.vote import confirm, vote
from vlbench.record.schema import Accuracy, CellGroup, Counts, Row, State, VariantTrial
from vlbench.stats.paired import Estimate


@dataclass(frozen=True)
class Summary:
    """One row as it is shown, in one state of the caches."""

    row: Row
    judgement: Judgement
    accuracy: Accuracy | None = None
    """The worst of its trials."""
    counts: Counts | None = None
    stages: dict[str, float] = field(default_factory=dict)
    seconds: float | None = None
    """Median over trials of the median over rounds."""
    hit_rate: float | None = None
    host_seconds: float | None = None
    """CUDA: until the call gave the host back."""
    busy_seconds: float | None = None
    """CUDA: in which something ran on the GPU."""
    first_seconds: float | None = None
    pays_back_after: int | None = None
    """Calls after which the first, slower one is made up for; None where there is nothing to make up or no gain."""

    @property
    def idle_share(self) -> float | None:
        """CUDA: share of the span in which the GPU had nothing to do."""
        if self.seconds is None or self.busy_seconds is None:
            return None
        return max(0.0, 1 - self.busy_seconds / self.seconds)

    @property
    def estimate(self) -> Estimate | None:
        """Time of the variant / time of its reference; None for the yardstick and for rows without times."""
        return self.judgement.estimate

    @property
    def effect(self) -> str:
        """ "faster" or "slower" where that is the verdict, or in a quick look where the interval excludes 1."""
        if self.judgement.verdict in (Verdict.IMPROVED, Verdict.REGRESSED):
            return "faster" if self.judgement.verdict is Verdict.IMPROVED else "slower"
        one_trial = self.judgement.visible is None and self.estimate is not None
        if one_trial and self.estimate is not None and not self.estimate.low <= 1 <= self.estimate.high:
            return "faster" if self.estimate.high < 1 else "slower"
        return "unclear"


def summaries(group: CellGroup, floors: Floors, state: State = "warm") -> list[Summary]:
    """The yardstick, then the other rows in their order."""
    return [_summary(group, row, floors, state) for row in group.rows]


def ranked(found: Sequence[Summary]) -> list[Summary]:
    """The yardstick, then the timed rows, fastest first, then those without times."""
    return [found[0], *sorted(found[1:], key=lambda each: each.estimate.ratio if each.estimate else math.inf)]


def suspects(group: CellGroup, floors: Floors) -> list[str]:
    """Rows that the first vote calls changed: they are measured once more before it is said.

    Confirming trials have no say in it, so that a run which was interrupted among them goes on with the same rows.
    """
    changed = (Verdict.IMPROVED, Verdict.REGRESSED)
    first = group.model_copy(update={"trials": tuple(trial for trial in group.trials if not trial.confirms)})
    return [each.row.name for each in summaries(first, floors) if each.judgement.verdict in changed]


def _summary(group: CellGroup, row: Row, floors: Floors, state: State) -> Summary:
    seen = [variant for trial in group.trials if (variant := trial.find(row.name))]
    accuracy = worst_accuracy(seen)
    if not seen or accuracy is None or not accuracy.passed:
        return Summary(row, _untimed(group, seen, accuracy), accuracy)
    timings = [variant.timings[state] for variant in seen if state in variant.timings]
    seconds = median(median(timing.seconds) for timing in timings) if timings else None
    rates = [timing.hit_rate for timing in timings if timing.hit_rate is not None]
    first = [variant.first_seconds for variant in seen if variant.first_seconds is not None]
    host = [median(timing.host_seconds) for timing in timings if timing.host_seconds]
    busy = [variant.busy_seconds for variant in seen if variant.busy_seconds is not None]
    return Summary(
        row,
        _judge(group, row, floors, state),
        accuracy,
        counts=next((variant.counts for variant in seen if variant.counts), None),
        stages=next((variant.stages for variant in seen if variant.stages), {}),
        seconds=seconds,
        hit_rate=median(rates) if rates else None,
        host_seconds=median(host) if host else None,
        busy_seconds=median(busy) if busy else None,
        first_seconds=median(first) if first else None,
        pays_back_after=_pays_back(group, row, seconds, median(first) if first else None, state),
    )


def _untimed(group: CellGroup, seen: Sequence[VariantTrial], accuracy: Accuracy | None) -> Judgement:
    if accuracy is not None and not accuracy.passed:
        return inaccurate(accuracy.reason or "it failed its accuracy check")
    reasons = [variant.not_measured for variant in seen if variant.not_measured]
    return missing([*reasons, *group.lost, "no trial was run"][0])


def _judge(group: CellGroup, row: Row, floors: Floors, state: State) -> Judgement:
    if row.is_yardstick:
        return Judgement(Verdict.SAME, "it is the yardstick")
    first, second = (estimates(group, row, state, confirms=confirms) for confirms in (False, True))
    if not first:
        reasons = [seen.not_measured for trial in group.trials if (seen := trial.find(row.name)) and seen.not_measured]
        return missing([*reasons, *group.lost, "no time was given to measure"][0])
    judgement = vote(first, floors, yardstick_seconds=_seconds(group, group.rows[0].name, state))
    return confirm(judgement, vote(second, floors)) if second else judgement


def estimates(group: CellGroup, row: Row, state: State, *, confirms: bool = False) -> list[Estimate]:
    """One ratio per trial of one of the votes, in which both the row and its reference were timed."""
    asked = [trial for trial in group.trials if trial.confirms is confirms]
    ratios = [trial_ratio(trial, row.name, row.reference, state) for trial in asked]
    return [ratio for ratio in ratios if ratio]


def _seconds(group: CellGroup, name: str, state: State) -> float | None:
    medians = [
        median(variant.timings[state].seconds)
        for trial in group.trials
        if (variant := trial.find(name)) and state in variant.timings
    ]
    return median(medians) if medians else None


def _pays_back(group: CellGroup, row: Row, seconds: float | None, first: float | None, state: State) -> int | None:
    yardstick = group.rows[0].name
    base = _seconds(group, yardstick, state)
    firsts = [one.first_seconds for trial in group.trials if (one := trial.find(yardstick)) and one.first_seconds]
    if seconds is None or first is None or base is None or not firsts or seconds >= base:
        return None
    once = (first - seconds) - (median(firsts) - base)  # beyond what the yardstick's own first call costs
    return math.ceil(once / (base - seconds)) if once > 0 else None


def worst_accuracy(seen: Sequence[VariantTrial]) -> Accuracy | None:
    """The check that failed, or else the one furthest off."""
    checks = [variant.accuracy for variant in seen if variant.accuracy]
    return max(checks, key=lambda check: (not check.passed, check.fp32_error or 0.0), default=None)
