"""Comparisons of a thing with itself: what each said, how often that was an alarm, and what such a count proves."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from vlbench.judging.verdict import Verdict
from vlbench.judging.words import percent
from vlbench.record.base import Amount, Record, Unbounded
from vlbench.record.fingerprint import Fingerprint


class IdenticalRun(Record):
    """One comparison of a thing with itself."""

    verdicts: tuple[Verdict, ...]
    """Of its rows."""
    ratios: tuple[Amount, ...]
    """After / before, of each row with times."""
    visible: tuple[Unbounded, ...]
    """The smallest change, as a share, that each of them would show."""
    seconds: Amount
    """How long it took."""

    @property
    def is_complete(self) -> bool:
        """Was all of it measured? Else nothing could be called."""
        return Verdict.MISSING not in self.verdicts

    @property
    def is_alarm(self) -> bool:
        """Were the two called different?"""
        return not {Verdict.SAME, Verdict.INCONCLUSIVE, Verdict.MISSING}.issuperset(self.verdicts)


class Evidence(Record):
    """Many such runs, as they are kept in a file."""

    schema_version: Literal[1] = 1
    created: datetime
    fingerprint: Fingerprint
    command: str
    """What each run was."""
    runs: tuple[IdenticalRun, ...]


def tally(runs: Sequence[IdenticalRun], what: str) -> str:
    """Of those that were complete: "0 of 40 identical pairs called different (at most 7.2 %), 3 undecided"."""
    complete = [run for run in runs if run.is_complete]
    if not complete:
        return f"none of {len(runs)} {what} could be measured"
    alarms, cases = sum(run.is_alarm for run in complete), len(complete)
    called = f"{alarms} of {cases} {what} called different (at most {percent(upper_bound(alarms, cases))})"
    undecided = sum(Verdict.INCONCLUSIVE in run.verdicts for run in complete)
    return f"{called}, {undecided} undecided" if undecided else called


def upper_bound(events: int, cases: int, *, confidence: float = 0.95) -> float:
    """The rate that `events` in `cases` leaves possible: 0 in 200 shows under 1.5 %, not zero.

    One-sided bound of Clopper and Pearson (Biometrika 26, 1934). Raises `ValueError` unless 0 <= events <= cases.
    """
    from scipy.stats import binomtest

    if not 0 <= events <= cases:  # from 1.18 on scipy takes it
        raise ValueError(f"{events} events in {cases} cases")
    return float(binomtest(events, cases, alternative="less").proportion_ci(confidence, method="exact").high)


def interval(events: int, cases: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The rates that `events` in `cases` leaves possible, from both sides (Clopper and Pearson, as above)."""
    from scipy.stats import binomtest

    found = binomtest(events, cases).proportion_ci(confidence, method="exact")
    return float(found.low), float(found.high)
