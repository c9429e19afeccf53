"""What a number of rows proves: how many false ones to expect, and what a clean count bounds."""

from __future__ import annotations

VOTE_FALSE_ALARMS = 3e-4
"""Share of identical programs that a vote of 4 in 5 paired trials beyond 1 % calls different.

Measured on a shared two-core machine, quiet and loaded; the self-test measures it on another.
"""


def expected_false_rows(rows: int, rate: float = VOTE_FALSE_ALARMS) -> float:
    """How many of `rows` rows are called although nothing changed, at `rate` false alarms per row."""
    return rows * rate


def upper_bound(events: int, cases: int, *, confidence: float = 0.95) -> float:
    """The rate that `events` in `cases` leaves possible: 0 in 200 shows under 1.5 %, not zero.

    One-sided bound of Clopper and Pearson (Biometrika 26, 1934). Raises `ValueError` unless 0 <= events <= cases.
    """
    from scipy.stats import binomtest

    return float(binomtest(events, cases, alternative="less").proportion_ci(confidence, method="exact").high)


def interval(events: int, cases: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The rates that `events` in `cases` leaves possible, from both sides (Clopper and Pearson, as above)."""
    from scipy.stats import binomtest

    found = binomtest(events, cases).proportion_ci(confidence, method="exact")
    return float(found.low), float(found.high)
