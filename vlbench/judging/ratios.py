"""What one trial says: the ratio of a variant to its reference, and those of the reference tower's own instances."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from vlbench.record.schema import State, Trial
from vlbench.stats.neighbours import Effects, effects
from vlbench.stats.paired import Estimate, paired_ratio

Calls = tuple[tuple[float, ...], ...]
"""Of one variant: its calls in each round."""


def trial_ratio(trial: Trial, name: str, reference: str, state: State, *, confidence: float = 0.95) -> Estimate | None:
    """Time of `name` / time of `reference`; None where either has no times in that state.

    By neighbours where the order of the readings was kept, else by rounds. Of the reference tower's instances it is the
    mean of the logarithms.
    """
    timed = {variant.name: variant.timings[state] for variant in trial.variants if state in variant.timings}
    if name not in timed or reference not in timed:
        return None
    if fitted := _effects(trial, state):
        names = [variant.name for variant in trial.variants]
        places = [trial.instances(state) if not (at := names.index(who)) else (at,) for who in (name, reference)]
        return fitted.ratio(places[0], places[1], confidence)
    return paired_ratio(timed[name].seconds, timed[reference].seconds, confidence=confidence)


def instance_ratios(trial: Trial, state: State, *, confidence: float = 0.95) -> list[Estimate]:
    """Time of each of the reference tower's instances / that of the others; empty where it had but one.

    They are identical programs, so that whatever differs among them is what this trial cannot tell from a change.
    """
    places, fitted = trial.instances(state), _effects(trial, state)
    if len(places) < 2 or fitted is None:
        return []
    return [fitted.ratio([place], [other for other in places if other != place], confidence) for place in places]


@dataclass(frozen=True)
class _EffectsByPlace:
    """The effects of a trial, asked for by the places of its order."""

    found: Effects
    numbers: dict[int, int]

    def ratio(self, ours: Sequence[int], theirs: Sequence[int], confidence: float) -> Estimate:
        sides = ([self.numbers[place] for place in places] for places in (ours, theirs))
        return self.found.ratio(*sides, confidence=confidence)


def _effects(trial: Trial, state: State) -> _EffectsByPlace | None:
    """None where the order was not kept, or the rounds are too few."""
    if state not in trial.order:
        return None
    calls = tuple(_calls_by_place(trial, state))
    found = _fitted(trial.order[state], calls)
    return _EffectsByPlace(found, {place: number for number, (place, _) in enumerate(calls)}) if found else None


def _calls_by_place(trial: Trial, state: State) -> Iterator[tuple[int, Calls]]:
    """Of each place in the order that has times: its calls in each round."""
    instances = trial.instances(state)
    for at, variant in enumerate(trial.variants):
        if timing := variant.timings.get(state):
            if at or len(instances) == 1:
                yield at, timing.every_call
            else:
                yield from ((place, tuple((one[n],) for one in timing.calls)) for n, place in enumerate(instances))


@lru_cache(maxsize=256)  # every row of a group asks for the same
def _fitted(order: tuple[tuple[int, ...], ...], calls: tuple[tuple[int, Calls], ...]) -> Effects | None:
    numbers = {place: number for number, (place, _) in enumerate(calls)}
    seconds = []
    for number, places in enumerate(order):
        left = {place: iter(own[number]) for place, own in calls}
        seconds.append([next(left[place]) for place in places])
    return effects([[numbers[place] for place in places] for places in order], seconds, len(calls))
