"""What fits into the time of a trial: estimated from its first calls, and asked again before each step.

Rows are taken in their order for as long as the next one fits, whatever their own times are: none is left out for how
fast it turned out to be. One that follows is expected to be as slow as the reference tower, so that it does not take
the time of those before it.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import mean

from vlbench.stats.paired import fewest_rounds
from vlbench.trial.clock import queue_for
from vlbench.trial.job import Estimated, Job
from vlbench.trial.rounds import FEWEST_WARM_UPS, WARM_UP_SECONDS, instances_for
from vlbench.workload.scenario import SeamPoint

STAGE_CALLS = 5
"""Calls whose stages are timed."""
CALLS_OF_A_CHECK = 5
"""A check holds at least so many calls of the timed batch: two in fp32, the first one, a warm and a counted one."""
CALLS_OF_A_BRIEF_CHECK = 8
"""In another dtype: two more in that and one in fp32, and nothing else is called."""
BESIDE = 1.25
"""Copying inputs and comparing outputs come on top of the calls themselves."""


@dataclass
class Pace:
    """The time of one trial, and what its rows were seen to need."""

    job: Job
    now: Callable[[], float] = field(default_factory=lambda: time.monotonic)
    """Looked up when it is made, so that tests can put another clock in its place."""
    _checks: list[float] = field(default_factory=list)
    _calls: dict[str, float] = field(default_factory=dict)
    _beginning: float = 0.0
    """Seconds before the first check."""

    def __post_init__(self) -> None:
        self._made = self.now()

    def note(self, row: str, seconds: float, call: float | None) -> None:
        """A row was checked, which took so many seconds; one that passed takes `call` when it is warm.

        One that failed is not called any more, and has further trials check everything.
        """
        if not self._checks:
            self._beginning = self.now() - seconds - self._made
        most = seconds / CALLS_OF_A_CHECK
        if call is not None or not self._checks:
            self._calls[row] = most if call is None else min(call, most)
        self._checks.append(seconds)

    @property
    def is_over(self) -> bool:
        """Has the trial to end with what it has?"""
        return self.now() >= self.job.until

    @property
    def checked_all(self) -> bool:
        """Was there time to check every row?"""
        return len(self._checks) == len(self.job.variants)

    def fits_another(self) -> bool:
        """Is there time for one more row, to its end? The first one beside the reference tower may take all of it."""
        call = next(iter(self._calls.values()))
        end = self.now() + self._needed(1, at_least=call)
        if len(self._checks) == 1:
            return end <= self.job.until
        return end + self.job.further * self._again(1, at_least=call) <= self.job.by

    def estimate(self, started: float) -> Estimated:
        """What all rows need from `started`, which is when this trial was, and how many of them fit."""
        others = len(self.job.variants) - len(self._checks)
        needed, again = ([each(more) for more in range(others + 1)] for each in (self._needed, self._again))
        pairs = zip(needed[1:], again[1:], strict=True)
        fitting = sum(self.now() + one + self.job.further * further <= self.job.by for one, further in pairs)
        seconds = self.now() + needed[-1] - started
        return Estimated(seconds=seconds, fitting=len(self._checks) + fitting, again=again[-1] - self._beginning)

    def left_for_rounds(self, rows: Iterable[str]) -> float:
        """Seconds of rounds, so that the stages of these rows still fit, and further trials have as many rounds."""
        stages = sum(map(self._stages, rows)) if self.job.stages else 0.0
        left = self.job.by - self.now() - self.job.further * (self._beginning + self._brief_checks(0))
        return min(self.job.seconds, left / (1 + self.job.further) - stages)

    def fits_stages(self, row: str) -> bool:
        """Is there time for one of the calls that tell a row's stages?"""
        return self.now() + self._calls[row] * BESIDE <= self.job.until

    def _stages(self, row: str) -> float:
        return self._calls[row] * (STAGE_CALLS + 1) * BESIDE

    def _needed(self, more: int, at_least: float = 0.0) -> float:
        """Seconds for this many rows more, and then for the fewest rounds and all that goes with them.

        A call of one of those rows takes `at_least` so long.
        """
        checks = more * max(_typical(self._checks), at_least * CALLS_OF_A_CHECK)
        return checks + self._after_checks(more, at_least)

    def _again(self, more: int, at_least: float = 0.0) -> float:
        """Seconds of a further trial, with this many rows more."""
        return self._beginning + self._brief_checks(more, at_least) + self._after_checks(more, at_least)

    def _brief_checks(self, more: int, at_least: float = 0.0) -> float:
        """Seconds of checks of the timed batch alone, if none failed; a way of a seam is checked on nothing else."""
        known = _typical(self._checks)
        if len(self._calls) == len(self._checks) and not isinstance(self.job.point, SeamPoint):
            known = min(known, _typical(list(self._calls.values())) * CALLS_OF_A_BRIEF_CHECK)
        return len(self._checks) * known + more * max(known, at_least * CALLS_OF_A_CHECK)

    def _after_checks(self, more: int, at_least: float) -> float:
        """Seconds of the fewest rounds and all that goes with them."""
        if not self.job.seconds:
            return 0.0
        # stages are told where there is time for them
        known = list(self._calls.values())
        calls = known + [max(_typical(known), at_least)] * more
        calls += known[:1] * (instances_for(len(calls)) - 1)
        queue = queue_for(known[0]) if "behind" in self.job.states else 0.0
        queued = len(calls) * fewest_rounds(self.job.confidence) * queue
        return (sum(map(self._timed, calls)) + queued) * BESIDE

    def _timed(self, call: float) -> float:
        """Seconds of a row whose calls take so long, in its warm-up and in the fewest rounds."""
        warm_ups = min(FEWEST_WARM_UPS, math.ceil(WARM_UP_SECONDS / call)) if call else FEWEST_WARM_UPS
        return call * (warm_ups + fewest_rounds(self.job.confidence) * len(self.job.states))


def _typical(seconds: Sequence[float]) -> float:
    """Of a row to come: the reference tower, which comes first, is slower than most."""
    return mean(seconds[1:] or seconds)
