"""The rules of other tools, on the samples of a self-test, as their users meet them: how often each is right.

Each of these tools compares a run before with a run after: two processes. So `before` is the reference tower in one
trial and `after` a variant in another. The tools differ in what a process yields: every call, or means over blocks of
calls. A rule returns 1 for slower, -1 for faster, 0 for neither. Each is written anew from what its source says it
does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import mean, median, stdev
from typing import TYPE_CHECKING

from vlbench.judging.summary import first_vote
from vlbench.record.schema import CellGroup, Row
from vlbench.selftest.verdicts import report

if TYPE_CHECKING:
    from numpy import ndarray

Times = Sequence[float]
OURS = "vlbench, 4 of 5 paired trials beyond 1 %, confirmed"
RESAMPLES = 2_000
"""criterion draws 100,000; a level of 5 % is told from 2,000, in minutes less."""


def mean_beyond(before: Times, after: Times) -> int:
    """`--benchmark-compare-fail=mean:5%`: the mean rose by more than 5 %. It fails on slower alone.

    pytest-benchmark, src/pytest_benchmark/utils.py, PercentageRegressionCheck.
    """
    return int(mean(after) > 1.05 * mean(before))


def min_beyond(before: Times, after: Times) -> int:
    """`--benchmark-compare-fail=min:5%`, which its documentation uses as the example: the same with the minimum.

    pytest-benchmark, src/pytest_benchmark/utils.py, PercentageRegressionCheck.
    """
    return int(min(after) > 1.05 * min(before))


def rank_test_and_factor(before: Times, after: Times) -> int:
    """Medians differ by a factor of 1.1 and a two-sided Mann-Whitney test gives p < 0.002.

    asv, asv/commands/compare.py (_is_result_better, factor 1.1) and asv/statistics.py (is_different).
    """
    return _ranked(before, after, level=0.002, factor=1.1)


def rank_test(before: Times, after: Times) -> int:
    """A two-sided Mann-Whitney test gives p < 0.05; which way, by the medians.

    google/benchmark, tools/gbench/report.py (calc_utest, utest_alpha=0.05).
    """
    return _ranked(before, after, level=0.05, factor=1.0)


def bootstrap_and_threshold(before: Times, after: Times) -> int:
    """A bootstrapped t test gives p < 0.05, and the 95 % interval of the change in means lies beyond 1 %.

    criterion.rs, src/analysis/compare.rs (t_test from the pooled samples, estimates) and src/report.rs
    (compare_to_threshold), with its defaults: significance_level 0.05, confidence_level 0.95, noise_threshold 0.01.
    """
    import numpy as np

    old, new = np.asarray(before), np.asarray(after)
    draw = np.random.default_rng(0)
    drawn = draw.choice(np.concatenate([new, old]), (RESAMPLES, len(new) + len(old)))
    below = int((_welch(drawn[:, : len(new)], drawn[:, len(new) :]) < _welch(new[None], old[None])).sum())
    if 2 * min(below, RESAMPLES - below) / RESAMPLES >= 0.05:
        return 0
    means = [draw.choice(sample, (RESAMPLES, len(sample))).mean(axis=1) for sample in (new, old)]
    low, high = np.quantile(means[0] / means[1] - 1, [0.025, 0.975])
    return int(low > 0.01) - int(high < -0.01)


def mean_and_deviation(before: Times, after: Times) -> int:
    """The summary "1.05 ± 0.03 times faster", read as people do: a difference where the ± does not reach 1.

    hyperfine, src/benchmark/relative_speed.rs (the ± is a propagated standard deviation, not an error of the mean).
    """
    slower = mean(after) > mean(before)
    high, low = (after, before) if slower else (before, after)
    ratio = mean(high) / mean(low)
    spread = ratio * ((stdev(high) / mean(high)) ** 2 + (stdev(low) / mean(low)) ** 2) ** 0.5
    return (1 if slower else -1) if ratio - spread > 1 else 0


def t_test(before: Times, after: Times) -> int:
    """Welch's t test gives p < 0.05.

    hyperfine, scripts/welch_ttest.py.
    """
    from scipy.stats import ttest_ind

    if ttest_ind(before, after, equal_var=False).pvalue >= 0.05:
        return 0
    return _beyond(mean(after) / mean(before), 1.0)


@dataclass(frozen=True)
class Rule:
    """A tool's rule, and what it would have been given."""

    name: str
    decide: Callable[[Times, Times], int]
    processes: int = 1
    """Per side."""
    samples: int | None = None
    """Per process: means over as many blocks of calls, as the tool collects them; None for every call."""

    def given(self, trials: Sequence[Times]) -> list[float]:
        """What the tool would have kept of these processes."""
        return [sample for trial in trials for sample in blocks(trial, self.samples)]


RULES = (
    Rule("pytest-benchmark, mean > 5 %", mean_beyond),
    Rule("pytest-benchmark, min > 5 %", min_beyond),
    Rule("asv, Mann-Whitney p < .002 and x1.1", rank_test_and_factor, processes=2, samples=10),
    Rule("criterion, p < .05 and whole interval beyond 1 %", bootstrap_and_threshold, samples=100),
    Rule("google/benchmark, U test p < .05", rank_test, samples=9),
    Rule("hyperfine, mean ± standard deviation", mean_and_deviation),
    Rule("hyperfine, welch_ttest.py p < .05", t_test),
)
"""asv: two processes a side with up to 10 samples each; google/benchmark: the 9 repetitions its report asks for."""


def blocks(times: Times, count: int | None) -> list[float]:
    """The means of `count` blocks of calls in a row, or each call where there are no more."""
    if count is None or len(times) <= count:
        return list(times)
    edges = [round(number * len(times) / count) for number in range(count + 1)]
    return [mean(times[start:end]) for start, end in pairwise(edges)]


def decisions(rule: Rule, before: Sequence[Times], after: Sequence[Times]) -> list[int]:
    """What `rule` says of a row, once for every way to begin: before from some trials, after from those that follow.

    `before` and `after` hold the calls of the reference tower and of the variant, one entry per trial. Trials are taken
    in a circle. There is nothing to say with fewer trials than both sides need.
    """
    trials, needed = len(before), rule.processes
    if trials < 2 * needed:
        return []
    found = []
    for start in range(trials):
        old = [before[(start + step) % trials] for step in range(needed)]
        new = [after[(start + needed + step) % trials] for step in range(needed)]
        found.append(rule.decide(rule.given(old), rule.given(new)))
    return found


@dataclass
class Score:
    """A rule's decisions by injected slow-down: how many of how many."""

    rule: str
    hits: dict[float, int] = field(default_factory=dict)
    cases: dict[float, int] = field(default_factory=dict)

    def add(self, slow_down: float, hit: bool) -> None:
        """One more decision: an alarm for 0, else a slow-down caught."""
        self.hits[slow_down] = self.hits.get(slow_down, 0) + hit
        self.cases[slow_down] = self.cases.get(slow_down, 0) + 1

    def rate(self, slow_down: float) -> float | None:
        """False alarms for 0, else the share caught; None where nothing was compared."""
        cases = self.cases.get(slow_down, 0)
        return self.hits[slow_down] / cases if cases else None


def scores(groups: Sequence[CellGroup]) -> list[Score]:
    """Every rule of another tool, then ours, on the same samples.

    Others see the trials of the first vote alone, in warm caches; ours is the verdict at the end.
    """
    found = []
    for rule in RULES:
        score = Score(rule.name)
        for row, before, after in _rows(groups):
            for decision in decisions(rule, before, after):
                score.add(row.slow_down, decision > 0 if row.slow_down else decision != 0)
        found.append(score)
    whole = report(groups)
    hits = {tally.slow_down: tally.hits for tally in whole.tallies}
    return [*found, Score(OURS, hits, {tally.slow_down: tally.cases for tally in whole.tallies})]


def _rows(groups: Sequence[CellGroup]) -> Iterator[tuple[Row, list[Times], list[Times]]]:
    """Every row but the reference towers, with the calls of its reference and its own, by trial."""
    for group in groups:
        for row in group.rows[1:]:
            pairs = [
                (reference.timings["warm"].seconds, variant.timings["warm"].seconds)
                for trial in first_vote(group).trials
                if (reference := trial.find(row.reference)) and (variant := trial.find(row.name))
                if "warm" in reference.timings and "warm" in variant.timings
            ]
            yield row, [before for before, _ in pairs], [after for _, after in pairs]


def _ranked(before: Times, after: Times, *, level: float, factor: float) -> int:
    from scipy.stats import mannwhitneyu

    if mannwhitneyu(before, after, alternative="two-sided").pvalue >= level:
        return 0
    return _beyond(median(after) / median(before), factor)


def _beyond(ratio: float, factor: float) -> int:
    return int(ratio > factor) - int(ratio < 1 / factor)


def _welch(new: ndarray, old: ndarray) -> ndarray:
    """The t statistic of each row, with variances of their own."""
    error = new.var(axis=1, ddof=1) / new.shape[1] + old.var(axis=1, ddof=1) / old.shape[1]
    result: ndarray = (new.mean(axis=1) - old.mean(axis=1)) / error**0.5
    return result
