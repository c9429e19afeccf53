"""A cell group as rows to show: each variant's times, its speed-up with an interval, and the verdict on it."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from vlbench.judging.instances import PROVES_NOTHING, beside_odd, furthest, proves_nothing
from vlbench.judging.quick import family_confidence, floor_of, quick_look, stands_out
from vlbench.judging.ratios import instance_ratios, trial_ratio
from vlbench.judging.stages import shares_by_round
from vlbench.judging.verdict import CALLED, Floors, Judgement, Verdict, inaccurate, missing
from vlbench.judging.vote import settled, vote
from vlbench.judging.words import number_of
from vlbench.record.exactness import Accuracy
from vlbench.record.schema import CellGroup, Counts, Results, Row, State, VariantTrial
from vlbench.stats.paired import Estimate


@dataclass(frozen=True)
class Summary:
    """One row as it is shown, in one state of the caches."""

    row: Row
    judgement: Judgement
    is_quick: bool = False
    """Does it rest on one trial, and on another where it stood out?"""
    accuracy: Accuracy | None = None
    """The worst of its trials."""
    counts: Counts | None = None
    stages: list[dict[str, float]] = field(default_factory=list)
    """Their shares of the forward, in each round that told them."""
    seconds: float | None = None
    """Median over trials of the median over rounds."""
    hit_rate: float | None = None
    host_seconds: float | None = None
    """CUDA: until the call gave the host back."""
    plan_seconds: float | None = None
    """Where the plan is handed in: to make it before the call."""
    first_kernel_seconds: float | None = None
    """CUDA, behind queued work: from its end to the first kernel."""
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
        """Time of the variant / time of its reference; None for the reference tower and for rows without times."""
        return self.judgement.estimate

    @property
    def effect(self) -> str:
        """ "faster" or "slower" where that is the verdict, or in a quick look what two processes say."""
        if self.judgement.verdict in CALLED:
            return "faster" if self.judgement.verdict is Verdict.IMPROVED else "slower"
        if self.is_quick and max(self.judgement.slower, self.judgement.faster) == 2:
            return "faster" if self.judgement.faster else "slower"
        return "unclear"

    @property
    def is_suspect(self) -> bool:
        """Does it stand out, so that it is measured again before anything is said?"""
        stands_out = self.is_quick and self.judgement.slower + self.judgement.faster > 0
        return stands_out or self.judgement.verdict in CALLED


def summaries(group: CellGroup, floors: Floors, state: State | None = None, *, first: bool = False) -> list[Summary]:
    """The reference tower, then the other rows in their order, in one `state`, by default the usual one.

    A change that no second vote was there to confirm does not stand, unless it is the `first` vote that is asked for.
    """
    group = first_vote(group) if first else group
    state = state or group.usual_state
    odd = proves_nothing(group, floors, state)
    quick = is_quick_look(group)
    return [
        _summary(
            group,
            row,
            _look(group, row, floors, state) if quick else _judge(group, row, floors, state, odd, first=first),
            state,
        )
        for row in group.rows
    ]


def ranked(found: Sequence[Summary]) -> list[Summary]:
    """The reference tower, then the rows taken to it, fastest first, then those taken to another; the untimed last."""
    first = found[0].row.name

    def place(each: Summary) -> tuple[bool, bool, float]:
        return each.estimate is None, each.row.reference != first, each.estimate.ratio if each.estimate else 0.0

    return [found[0], *sorted(found[1:], key=place)]


def is_quick_look(group: CellGroup) -> bool:
    """Was one trial asked for? It may be in pieces: what there was no time for is measured when a run goes on.

    Pieces of one trial have even numbers, and those that confirm it odd ones.
    """
    firsts = [trial.number for trial in group.vote()]
    return len(firsts) == 1 or bool(firsts and group.planned in (1, 2) and not any(number % 2 for number in firsts))


def hold_together(group: CellGroup, found: Sequence[Summary]) -> bool:
    """Is this a quick look whose intervals hold for all rows of the group at once, in 95 % of cases?"""
    needed = family_confidence(len(group.rows) - 1)
    return all(each.is_quick and each.estimate.confidence >= needed for each in found if each.estimate)


def suspects(group: CellGroup, floors: Floors) -> list[str]:
    """Rows that the first vote calls changed: they are measured once more before it is said.

    So is a row where nothing stands out but an instance of the reference tower. Confirming trials have no
    say in it, so that a run which was interrupted among them goes on with the same rows.
    """
    found = [each.row.name for each in summaries(group, floors, first=True) if each.is_suspect]
    return found or beside_odd(group, floors, group.usual_state)


def first_vote(group: CellGroup) -> CellGroup:
    """The group before any suspect was measured again."""
    return group.model_copy(update={"trials": tuple(group.vote())})


def trials_of(group: CellGroup, name: str) -> list[VariantTrial]:
    """What each trial says of a variant; those that did not have it are left out."""
    return [variant for trial in group.trials if (variant := trial.find(name))]


def why_untimed(group: CellGroup, name: str, otherwise: str) -> str:
    """Why a variant has no times: how it ended, else how a trial was lost, else what is said `otherwise`."""
    last = sorted(trials_of(group, name), key=lambda each: each.left)  # another trial may have made that good
    reasons = [variant.not_measured for variant in last if variant.not_measured]
    return [*reasons, *group.lost, otherwise][0]


def why_incomplete(results: Results) -> str:
    """What a run had no time for, rows that trials left by name; "" where it is complete."""
    if results.complete:
        return ""
    left = Counter(
        each.name for group in results.groups for trial in group.trials for each in trial.variants if each.left
    )
    named = ", ".join(f"{name} ({number_of(count, 'trial')})" for name, count in left.items())
    if named:
        return f"no time was left for {named}"
    return "trials were lost" if any(group.lost for group in results.groups) else "it was interrupted"


def why_inaccurate(accuracy: Accuracy | None) -> str:
    """What is wrong with an output; "" where nothing is, or nobody looked."""
    return "" if accuracy is None or accuracy.passed else accuracy.reason or "it failed its accuracy check"


def _summary(group: CellGroup, row: Row, judgement: Judgement, state: State) -> Summary:
    variants = trials_of(group, row.name)
    accuracy = worst_accuracy(variants)
    if wrong := why_inaccurate(accuracy):
        return Summary(row, inaccurate(wrong), accuracy=accuracy)
    if accuracy is None:
        return Summary(row, missing(why_untimed(group, row.name, "no trial was run")))
    timings = [variant.timings[state] for variant in variants if state in variant.timings]
    seconds, first = _seconds(group, row.name, state), _first_seconds(group, row.name)
    return Summary(
        row,
        judgement,
        is_quick_look(group),
        accuracy,
        counts=next((variant.counts for variant in variants if variant.counts), None),
        stages=shares_by_round(variants),
        seconds=seconds,
        hit_rate=_median(timing.hit_rate for timing in timings),
        host_seconds=_median(median(timing.host_seconds) for timing in timings if timing.host_seconds),
        plan_seconds=_median(median(timing.plan_seconds) for timing in timings if timing.plan_seconds),
        first_kernel_seconds=_median(timing.first_kernel_seconds for timing in timings),
        busy_seconds=_median(variant.busy_seconds for variant in variants),
        first_seconds=first,
        pays_back_after=_pays_back(group, seconds, first, state),
    )


def _judge(group: CellGroup, row: Row, floors: Floors, state: State, odd: str, *, first: bool) -> Judgement:
    """`odd` says what is wrong with the reference tower's own instances."""
    if row.is_reference:
        return Judgement(Verdict.SAME, "it is the reference tower")
    votes, again = (estimates(group, row, state, confirms=confirms) for confirms in (False, True))
    if not votes:
        return missing(why_untimed(group, row.name, "no time was given to measure"))
    judgement = vote(votes, floors)
    return judgement if first else settled(judgement, vote(again, floors) if again else None, group.lost, odd)


def _look(group: CellGroup, row: Row, floors: Floors, state: State) -> Judgement:
    """Of one trial, and of another where the row stood out in it."""
    if row.is_reference:
        return Judgement(Verdict.SAME, "it is the reference tower")
    sure = family_confidence(len(group.rows) - 1)
    looks: list[tuple[Estimate, float]] = []
    odd: list[list[int]] = []
    for confirms in (False, True):
        pieces = group.vote(confirms=confirms)
        ratios = ((each, trial_ratio(each, row.name, row.reference, state, confidence=sure)) for each in pieces)
        trial, ratio = next(((each, ratio) for each, ratio in ratios if ratio), (None, None))
        if trial is None or ratio is None:
            continue
        instances = instance_ratios(trial, state, confidence=sure)
        odd.append([stands_out(each, floors.relative) for each in instances])
        floor = floor_of(floors, furthest(each.ratio for each in instances))
        looks.append((ratio, floor))
    if not looks:
        return missing(why_untimed(group, row.name, "no time was given to measure"))
    first, floor = looks[0]
    judgement = quick_look(first, floor, *(looks[1] if len(looks) > 1 else (None, floor)))
    if len(odd) > 1 and any(one == other != 0 for one, other in zip(*odd, strict=False)):
        return replace(judgement, reason=PROVES_NOTHING, slower=0, faster=0)
    return judgement


def estimates(group: CellGroup, row: Row, state: State, *, confirms: bool = False) -> list[Estimate]:
    """One ratio per trial of one of the votes, in which both the row and its reference were timed."""
    return [ratio for _, ratio in ratios_by_id(group, row, state, confirms=confirms)]


def ratios_by_id(group: CellGroup, row: Row, state: State, *, confirms: bool = False) -> list[tuple[str, Estimate]]:
    """The same with the id of each trial."""
    trials = group.vote(confirms=confirms)
    ratios = [(trial.id, trial_ratio(trial, row.name, row.reference, state)) for trial in trials]
    return [(one, ratio) for one, ratio in ratios if ratio]


def _median(values: Iterable[float | None]) -> float | None:
    """Of those that are known; None where none is."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def seconds_by_trial(group: CellGroup, name: str, state: State | None = None) -> tuple[float, ...]:
    """The median over rounds of a row in each trial that timed it, by default in the usual state."""
    state, variants = state or group.usual_state, trials_of(group, name)
    return tuple(median(variant.timings[state].seconds) for variant in variants if state in variant.timings)


def _seconds(group: CellGroup, name: str, state: State) -> float | None:
    return _median(seconds_by_trial(group, name, state))


def _first_seconds(group: CellGroup, name: str) -> float | None:
    return _median(variant.first_seconds for variant in trials_of(group, name))


def _pays_back(group: CellGroup, seconds: float | None, first: float | None, state: State) -> int | None:
    reference = group.rows[0].name
    base, base_first = _seconds(group, reference, state), _first_seconds(group, reference)
    if seconds is None or first is None or base is None or base_first is None or seconds >= base:
        return None
    once = (first - seconds) - (base_first - base)  # beyond what the reference tower's own first call costs
    return math.ceil(once / (base - seconds)) if once > 0 else None


def worst_accuracy(seen: Sequence[VariantTrial]) -> Accuracy | None:
    """The check that failed, or else the one furthest off: in fp32, and where that is the same in the timed dtype.

    An error that is no number is further off than any.
    """
    return max((variant.accuracy for variant in seen if variant.accuracy), key=_far_off, default=None)


def _far_off(check: Accuracy) -> tuple[object, ...]:
    errors = [error or 0.0 for error in (check.fp32_error, check.timed_error)]
    strange = [math.isnan(error) for error in errors]  # which compares with nothing
    apart = [(odd, 0.0 if odd else error) for odd, error in zip(strange, errors, strict=True)]
    return (not check.passed, any(strange), *apart, check.reason or "")
