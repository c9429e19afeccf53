"""Quick looks that never ran, with noise that is known."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

from tests.record.records import RIGHT, group, trial
from vlbench.record.schema import CellGroup, Timing, Trial, VariantTrial


def one_trial(
    ratios: Mapping[str, float], odd: float = 1.0, *, number: int = 0, confirms: bool = False, noise: float = 0.004
) -> Trial:
    """Thirty rounds of the reference tower's three instances, the last of which takes `odd`, and of others."""
    draw, names = random.Random(number), ["baseline", *ratios]
    takes = [1.0, *ratios.values(), 1.0, odd]
    rounds: list[list[float]] = []
    order = []
    for _ in range(30):
        order.append(tuple(draw.sample(range(len(takes)), len(takes))))
        rounds.append([0.004 * ratio * math.exp(draw.gauss(0, noise)) for ratio in takes])
    calls = tuple((one[0], one[-2], one[-1]) for one in rounds)
    timings = [Timing(seconds=tuple(sorted(each)[1] for each in calls), calls=calls)]
    timings += [Timing(seconds=tuple(one[place] for one in rounds)) for place in range(1, len(names))]
    made = zip(names, timings, strict=True)
    variants = tuple(VariantTrial(name=name, accuracy=RIGHT, timings={"warm": each}) for name, each in made)
    return trial(number=number, confirms=confirms, variants=variants, order={"warm": tuple(order)})


def look(ratios: Mapping[str, float], *, again: Mapping[str, float] | None = None, odd: float = 1.0) -> CellGroup:
    """One process, and a second over what is measured `again`."""
    second = [one_trial(again, odd, number=1, confirms=True)] if again else []
    return group(one_trial(ratios, odd), *second)
