"""The ratio of two variants in one trial: by neighbours where the order of the readings was kept, else by rounds."""

from __future__ import annotations

from functools import lru_cache

from vlbench.record.schema import State, Trial
from vlbench.stats.neighbours import Effects, effects
from vlbench.stats.paired import Estimate, paired_ratio

Calls = tuple[tuple[float, ...], ...]
"""Of one variant: its calls in each round."""


def trial_ratio(trial: Trial, name: str, reference: str, state: State) -> Estimate | None:
    """Time of `name` / time of `reference`; None where either has no times in that state."""
    timed = {variant.name: variant.timings[state] for variant in trial.variants if state in variant.timings}
    if name not in timed or reference not in timed:
        return None
    if state in trial.order and (fitted := _fitted(trial.order[state], _places(trial, state))):
        names = list(timed)
        return fitted.ratio(names.index(name), names.index(reference))
    return paired_ratio(timed[name].seconds, timed[reference].seconds)


def _places(trial: Trial, state: State) -> tuple[tuple[int, Calls], ...]:
    """The variants that have times: where they are in the list, and their calls."""
    timings = ((place, variant.timings.get(state)) for place, variant in enumerate(trial.variants))
    return tuple((place, timing.every_call) for place, timing in timings if timing)


@lru_cache(maxsize=256)  # every row of a group asks for the same
def _fitted(order: tuple[tuple[int, ...], ...], calls: tuple[tuple[int, Calls], ...]) -> Effects | None:
    numbers = {place: number for number, (place, _) in enumerate(calls)}
    seconds = []
    for number, places in enumerate(order):
        left = {place: iter(own[number]) for place, own in calls}
        seconds.append([next(left[place]) for place in places])
    return effects([[numbers[place] for place in places] for places in order], seconds, len(calls))
