"""Where a series of times goes to another level: change points of its logarithms, by binary segmentation (ruptures).

What two levels have to differ by follows from the noise of the series itself, and from how much neighbours in it are
alike: a machine's slow hours, in which one slow time follows another, are no level.
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
STANDS_OUT = 5.0
"""Standard errors that two levels differ by at least: `python -m results.history_levels`."""
LESS_ALIKE = 2.0
"""What neighbours resemble each other less by where they lie about levels that were found in themselves: so many times
the levels, over the times. For a correlation of 0.25; Kendall (1954) has 1 + 4 times it."""
MOST_ALIKE = 0.9
WILD = 3.0
"""Standard deviations beyond which a time counts as one that is so far off."""
_MAD = 0.6745
"""Of normal noise: the median of its absolute values, as a share of its standard deviation."""


def can_look() -> bool:
    """Is there what looks for them (`pip install 'vlbench[history]'`)?"""
    return find_spec("ruptures") is not None


def change_points(times: Sequence[float]) -> list[int]:
    """The places at which another level begins, of positive times in order; none where there are too few of them.

    One place more is tried until two more bring no further level: one that goes up and back takes both.
    """
    import numpy
    from ruptures import Binseg

    if len(times) < 2 * SMALLEST:
        return []
    logs = [math.log(each) for each in times]
    search = Binseg(model="l2", min_size=SMALLEST, jump=1).fit(numpy.array(logs)[:, None])
    found, tried = [0, len(logs)], 0
    for number in range(1, len(logs) // SMALLEST):
        places = _standing_out(logs, [0, *search.predict(n_bkps=number)])
        found, tried = (places, 0) if len(places) > len(found) else (found, tried + 1)
        if tried == 2:
            break
    return found[1:-1]


def _standing_out(logs: Sequence[float], places: list[int]) -> list[int]:
    """Those of the places at which levels differ by enough; the weakest goes first."""
    while len(places) > 2:
        levels = [logs[start:end] for start, end in pairwise(places)]
        noise = _noise(levels)
        errors = [max(noise / math.sqrt(len(level)), _error_of_median(level)) for level in levels]
        moves = [
            abs(median(levels[place + 1]) - median(levels[place]))
            / max(math.log1p(FLOOR), STANDS_OUT * math.hypot(*both))
            for place, both in enumerate(pairwise(errors))
        ]
        least = min(range(len(moves)), key=moves.__getitem__)
        if moves[least] >= 1:
            break
        places = [*places[: least + 1], *places[least + 2 :]]
    return places


def _error_of_median(level: Sequence[float]) -> float:
    """Standard error of the median, by its order statistics: about two such errors to either side hold it.

    It clips nothing: where a share of the times is slow, a short level may have most of them by chance.
    """
    ordered, below = sorted(level), int(len(level) / 2 - math.sqrt(len(level)))
    return (ordered[-1 - below] - ordered[below]) / 4


def _noise(levels: Sequence[Sequence[float]]) -> float:
    """Standard deviation about the levels of noise without resemblance, of which means would vary as much."""
    off = [[each - median(level) for each in level] for level in levels]
    most = WILD / _MAD * median(abs(each) for level in off for each in level)
    kept = [[max(-most, min(most, each)) for each in level] for level in off]
    squares = sum(each * each for level in kept for each in level)
    if not squares:
        return 0.0
    number = sum(map(len, levels))
    alike = sum(one * other for level in kept for one, other in pairwise(level)) / squares
    alike = max(0.0, min(MOST_ALIKE, alike + LESS_ALIKE * len(levels) / number))
    return math.sqrt(squares / (number - len(levels)) * (1 + alike) / (1 - alike))
