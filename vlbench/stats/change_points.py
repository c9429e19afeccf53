"""Where a series of times goes to another level: change points of its logarithms, by PELT (Killick, 2012; ruptures).

What a level has to differ by follows from the noise of the series itself, that of a time from the one before.
"""

import math
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import pairwise
from statistics import median

SMALLEST = 5
"""Times that a level has at least: of fewer than two such levels nothing is said."""
FLOOR = 0.01
"""Share that two levels differ by at least."""
PENALTY = 4.0
"""Squares of the noise, times the logarithm of the length, that a further level has to explain."""
_MAD = 0.6745 * math.sqrt(2)
"""Of the differences of normal noise: their median, as a share of its standard deviation."""


def can_look() -> bool:
    """Is there what looks for them (`pip install 'vlbench[history]'`)?"""
    return find_spec("ruptures") is not None


def change_points(times: Sequence[float]) -> list[int]:
    """The places at which another level begins, of positive times in order; none where there are too few of them."""
    import numpy
    from ruptures import Pelt

    if len(times) < 2 * SMALLEST:
        return []
    logs = [math.log(each) for each in times]
    steps = [abs(after - before) for before, after in pairwise(logs)]
    noise = max(median(steps) / _MAD, FLOOR / 10)
    search = Pelt(model="l2", min_size=SMALLEST, jump=1).fit(numpy.array(logs)[:, None])
    places = [0, *search.predict(pen=PENALTY * noise**2 * math.log(len(logs)))]
    while len(places) > 2:
        levels = [median(logs[start:end]) for start, end in pairwise(places)]
        moves = [abs(after - before) for before, after in pairwise(levels)]
        least = min(range(len(moves)), key=moves.__getitem__)
        if moves[least] >= math.log1p(FLOOR):
            break
        del places[least + 1]
    return places[1:-1]
