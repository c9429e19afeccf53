"""Where a series of times goes to another level: change points of its logarithms, by binary segmentation (ruptures).

What two levels have to differ by follows from the noise of the series itself, and from how much neighbours in it are
alike: a machine's slow hours, in which one slow time follows another, are no level.

Take thirty readings of 10 ms, each off by some 3 %, and then thirty of 11 ms. Each level is known to about 0.6 %, the
step between them to 0.8 %, and five times that is 4 %: the levels lie 10 % apart, so that the change about place 30
stands out. Were each reading off by 12 % instead, they would have to lie 16 % apart, and nothing would be said.
"""

import math
from collections.abc import Iterator, Sequence
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
PATIENCE = 2
"""Further proposals without a further change point, after which no more is tried: a level that goes up and back takes
two places at once."""
_MAD = 0.6745
"""Of normal noise: the median of its absolute values, as a share of its standard deviation."""
Levels = Sequence[Sequence[float]]
"""The logarithms of a series, parted at its change points."""


def can_look() -> bool:
    """Is there what looks for them (`pip install 'vlbench[history]'`)?"""
    return find_spec("ruptures") is not None


def change_points(times: Sequence[float]) -> list[int]:
    """The places at which another level begins, of positive times in order; none where there are too few of them.

    Five times of 10 ms and five of 12 ms after them give [5].
    """
    if len(times) < 2 * SMALLEST:
        return []
    logs = [math.log(each) for each in times]
    best, in_vain = list[int](), 0
    for proposed in _proposals(logs):
        places = _standing_out(logs, proposed)
        best, in_vain = (places, 0) if len(places) > len(best) else (best, in_vain + 1)
        if in_vain == PATIENCE:
            break
    return best


def _proposals(logs: Sequence[float]) -> Iterator[list[int]]:
    """Where the series is best parted into two levels, then into three, and so on."""
    import numpy
    from ruptures import Binseg

    search = Binseg(model="l2", min_size=SMALLEST, jump=1).fit(numpy.array(logs)[:, None])
    for number in range(1, len(logs) // SMALLEST):
        yield search.predict(n_bkps=number)[:-1]  # the last is the end of the series


def _standing_out(logs: Sequence[float], places: list[int]) -> list[int]:
    """Those of the places at which the level moves by enough.

    The weakest is struck first: the two levels beside it become one, of which the others may stand out.
    """
    while places:
        strengths = _strengths([logs[start:end] for start, end in pairwise([0, *places, len(logs)])])
        weakest = min(range(len(places)), key=strengths.__getitem__)
        if strengths[weakest] >= 1:
            break
        places = [*places[:weakest], *places[weakest + 1 :]]
    return places


def _strengths(levels: Levels) -> list[float]:
    """How far each level lies from the one before, over how far it has to: what is 1 or more stands out."""
    noise, middles = _noise(levels), [median(level) for level in levels]
    errors = [max(noise / math.sqrt(len(level)), _error_of_median(level)) for level in levels]
    needed = [max(math.log1p(FLOOR), STANDS_OUT * math.hypot(*both)) for both in pairwise(errors)]
    return [abs(new - old) / least for (old, new), least in zip(pairwise(middles), needed, strict=True)]


def _error_of_median(level: Sequence[float]) -> float:
    """Standard error of the median, by its order statistics: about two such errors to either side hold it.

    It clips nothing: where a share of the times is slow, a short level may have most of them by chance.
    """
    ordered, below = sorted(level), int(len(level) / 2 - math.sqrt(len(level)))
    return (ordered[-1 - below] - ordered[below]) / 4


def _noise(levels: Levels) -> float:
    """Standard deviation about the levels of noise without resemblance, of which means would vary as much."""
    off = _without_wild([[each - median(level) for each in level] for level in levels])
    if not (squares := sum(each * each for level in off for each in level)):
        return 0.0
    number = sum(map(len, levels))
    alike = sum(one * other for level in off for one, other in pairwise(level)) / squares
    alike = max(0.0, min(MOST_ALIKE, alike + LESS_ALIKE * len(levels) / number))
    return math.sqrt(squares / (number - len(levels)) * (1 + alike) / (1 - alike))


def _without_wild(off: Levels) -> Levels:
    """How far each time is off its level; what is further off than noise is as far off as noise goes."""
    most = WILD / _MAD * median(abs(each) for level in off for each in level)
    return [[max(-most, min(most, each)) for each in level] for level in off]
