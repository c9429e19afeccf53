"""A trial's readings, each compared with the one before it, become ratios with intervals.

In a round of many variants the reference tower's calls lie far from most others, and a shared machine changes its pace
in between: on one, a reading differed from the reference tower of its round by 10 %, from the reading before it by 6 %.
So here each reading is compared with its neighbour, whichever variant that is, and the variants' times are those that
fit all of these comparisons best. What a variant leaves behind for whoever comes next (cold caches, freed pages) is
fitted as well, as in a crossover trial, so that nobody gains by slowing down its neighbours.

Measured on copies of one program: a trial's ratio spreads by 1.0 % in place of 1.7 % among 51 copies, by 0.9 in place
of 1.4 % among 26, by 0.6 in place of 0.7 % among 12; among three there is nothing to gain.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vlbench.stats.paired import Estimate, student

CLIPPED = 1.0
"""Deviations, in units of the usual one, beyond which a comparison counts for no more than that."""
MOST_STEPS = 50
SETTLED = 1e-7
SMALLEST = 1e-12
"""Of a log ratio: less is rounding."""
FURTHEST = 700.0
"""Of a log ratio: a float holds its exponential, and that of its negative."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Effects:
    """Logarithms of the times of a trial's variants over that of the first, and how sure they are."""

    logs: Array
    """[variants], the first of which is 0"""
    covariance: Array
    """[variants, variants]"""
    rounds: int

    def ratio(self, ours: Sequence[int], theirs: Sequence[int], *, confidence: float = 0.95) -> Estimate:
        """Time of `ours` / time of `theirs`, by their numbers; of several, the mean of the logarithms."""
        contrast = np.zeros(len(self.logs))
        for numbers, sign in ((ours, 1), (theirs, -1)):
            np.add.at(contrast, list(numbers), sign / len(numbers))
        log = float(contrast @ self.logs)
        error = math.sqrt(max(0.0, float(contrast @ self.covariance @ contrast)))
        margin = student(max(1, self.rounds - 1), confidence) * error
        low, high = (math.exp(max(-FURTHEST, min(FURTHEST, log + each))) for each in (-margin, margin))
        return Estimate(math.exp(log), low, high, self.rounds, confidence)


def effects(order: Sequence[Sequence[int]], seconds: Sequence[Sequence[float]], variants: int) -> Effects | None:
    """The times that fit the comparisons of neighbours best.

    `order` has, for each round, the number of the variant of each reading as they were taken, `seconds` the readings.
    Huber's estimator by reweighting (Annals of Mathematical Statistics 35, 1964), so that an interrupt moves little,
    with a covariance that takes rounds to be independent and nothing else (Liang and Zeger, Biometrika 73, 1986). None
    where there are too few rounds to place every variant, or their orders are too much alike.
    """
    compared, gaps, rounds = _comparisons(order, seconds, variants)
    if len(gaps) <= compared.shape[1] or np.linalg.matrix_rank(compared.T @ compared) < compared.shape[1]:
        return None
    try:
        found = np.linalg.solve(compared.T @ compared, compared.T @ gaps)
        for _ in range(MOST_STEPS):
            left = gaps - compared @ found
            clip = max(CLIPPED * 1.4826 * float(np.median(np.abs(left))), SMALLEST)
            weighted = compared.T * np.minimum(1.0, clip / np.maximum(np.abs(left), SMALLEST))
            before, found = found, np.linalg.solve(weighted @ compared, weighted @ gaps)
            if float(np.abs(found - before).max()) < SETTLED:
                break
        left = gaps - compared @ found
        inside = compared[np.abs(left) <= clip]
        bread = np.linalg.inv(inside.T @ inside)
    except np.linalg.LinAlgError:
        return None
    scores = np.zeros((len(order), len(found)))
    np.add.at(scores, rounds, compared * np.clip(left, -clip, clip)[:, None])
    covariance = np.zeros((variants, variants))
    own = slice(0, variants - 1)  # of the variants; the rest is what they leave behind
    covariance[1:, 1:] = (bread @ (scores.T @ scores) @ bread)[own, own] * len(order) / max(1, len(order) - 1)
    return Effects(np.append(0.0, found[own]), covariance, len(order))


def _comparisons(
    order: Sequence[Sequence[int]], seconds: Sequence[Sequence[float]], variants: int
) -> tuple[Array, Array, NDArray[np.intp]]:
    """For each reading with two before it: whose time and whose traces it differs by, its log ratio, and its round.

    Reading i over reading i - 1 is variant i over variant i - 1, and what i - 1 left behind over what i - 2 did. The
    first variant's time and traces are what the others' are measured by.
    """
    steps = [
        (number, *places[at - 2 : at + 1], math.log(times[at] / times[at - 1]))
        for number, (places, times) in enumerate(zip(order, seconds, strict=True))
        for at in range(2, len(places))
    ]
    compared, rows = np.zeros((len(steps), 2 * variants)), np.arange(len(steps))
    for column, sign, traces in ((3, 1, 0), (2, -1, 0), (2, 1, variants), (1, -1, variants)):
        np.add.at(compared, (rows, traces + np.array([step[column] for step in steps], np.intp)), sign)
    gaps = np.array([step[4] for step in steps])
    return np.delete(compared, (0, variants), axis=1), gaps, np.array([step[0] for step in steps], np.intp)
