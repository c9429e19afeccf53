"""What each flag is worth beside the others: by times of the set without it or with it, and by counters."""

from collections.abc import Iterable, Mapping

from vlbench.judging.ratios import trial_ratio
from vlbench.judging.smallest import WITHIN
from vlbench.judging.summary import Summary, estimates, summaries, trials_of, why_inaccurate, worst_accuracy
from vlbench.judging.verdict import Floors, Judgement, Verdict
from vlbench.judging.vote import settled, together, vote
from vlbench.record.at_scale import Ratios
from vlbench.record.recommendation import COUNTERS, By, Effect, Worth
from vlbench.record.schema import CellGroup
from vlbench.stats.paired import Estimate


def worth_of(judged: Judgement, trials: int, *, inverse: bool) -> Worth | None:
    """Time without something / time with it, where the judgement is of time without, or with `inverse` of time with."""
    if (found := judged.estimate) is None:
        return None
    ratio, low, high = found.ratio, found.low, found.high
    helping, hurting = judged.slower, judged.faster
    if inverse:
        ratio, low, high, helping, hurting = 1 / ratio, 1 / high, 1 / low, hurting, helping
    return Worth(ratio=ratio, low=low, high=high, helping=helping, hurting=hurting, trials=trials, reason=judged.reason)


def effects_in(group: CellGroup, rows: Mapping[str, str], inside: Iterable[str]) -> dict[str, tuple[Effect, Worth]]:
    """By flag whether it helps, from the row in which it is left out or, where it is not `inside` the set, put in.

    A row without times is left out of the answer.
    """
    by_name = {each.row.name: each for each in summaries(group, Floors())}
    kept, found = set(inside), {}
    for flag, name in rows.items():
        each = by_name[name]
        worth = worth_of(each.judgement, _trials(group, each), inverse=flag not in kept)
        if worth is not None:
            found[flag] = (_effect(each, inverse=flag not in kept), worth)
    return found


def reason_untimed(group: CellGroup, name: str) -> tuple[Effect, str]:
    """Of a row without times: that it is wrong, or why there are none."""
    each = next(each for each in summaries(group, Floors()) if each.row.name == name)
    inaccurate = each.judgement.verdict is Verdict.INACCURATE
    return "inaccurate" if inaccurate else "not tried", each.judgement.reason


def why_wrong(group: CellGroup, name: str) -> str:
    """Why the result of a row is wrong; "" where it is right, or was not checked."""
    return why_inaccurate(worst_accuracy(trials_of(group, name)))


def all_estimates(group: CellGroup, name: str) -> Estimate | None:
    """The ratio of a row to its reference over all of its trials, of both votes; None without any."""
    rows = [row for row in group.rows if row.name == name]
    found = [each for row in rows for again in (False, True) for each in estimates(group, row, "warm", confirms=again)]
    return together(found) if found else None


def between(group: CellGroup, one: str, other: str) -> tuple[Judgement, int] | None:
    """The verdict on time of `one` / time of `other`, whatever their rows are taken to, and its trials; None without.

    The second vote has a say where both were in it.
    """
    votes = []
    for confirms in (False, True):
        ratios = (trial_ratio(trial, one, other, "warm") for trial in group.vote(confirms=confirms))
        votes.append([each for each in ratios if each])
    first, again = votes
    if not first:
        return None
    judged, floors = vote(first, Floors()), Floors()
    if again:
        judged = settled(judged, vote(again, floors), group.lost, "")
    return judged, len(first)


def effect_of_counts(moved: Mapping[str, int]) -> Effect:
    """What a flag asks of a GPU by the counters that it moves: fewer of some and more of none, or the other way round.

    Where none moves, or some fall and others rise, they do not tell: what saves host time alone has no counter.
    """
    fewer = any(moved.get(name, 0) < 0 for name in COUNTERS)
    more = any(moved.get(name, 0) > 0 for name in COUNTERS)
    if fewer is more:
        return "not told"
    return "fewer" if fewer else "more"


def effect_of_predictions(predicted: Iterable[Ratios]) -> Effect:
    """Whether a flag helps by its spans, where on every GPU the whole band says so, by more than 1 %.

    That it has no effect they never say: Python that issues nothing is not simulated.
    """
    bands = list(predicted)
    if bands and all(low > 1 + WITHIN for low, _ in bands):
        return "helps"
    return "hurts" if bands and all(1 / high > 1 + WITHIN for _, high in bands) else "not told"


def decided(
    timed: tuple[Effect, Worth] | None, moved: Mapping[str, int] | None, predicted: Iterable[Ratios] = ()
) -> tuple[Effect, By]:
    """Times at hand come before counts, and counts before predictions."""
    if timed is not None:
        return timed[0], "time"
    if moved is None:
        return "not tried", "-"
    counted, foretold = effect_of_counts(moved), effect_of_predictions(predicted)
    return (foretold, "predicted") if counted == "not told" != foretold else (counted, "counts")


def _trials(group: CellGroup, each: Summary) -> int:
    again = estimates(group, each.row, "warm", confirms=True)
    return len(again or estimates(group, each.row, "warm"))


def _effect(each: Summary, *, inverse: bool) -> Effect:
    if each.judgement.verdict is Verdict.SAME:
        return "no effect"
    if each.effect == "unclear":
        return "not told"
    return "hurts" if (each.effect == "faster") != inverse else "helps"
