"""What a result file says, whoever wrote it: runs, each with named metrics.

The run, one process or one load test, is the unit of evidence. Samples inside a run share its luck and say how well the
run knew its own value, not what the next run would give.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from statistics import median

from vlbench.errors import UsageError
from vlbench.record.directions import Better, is_amount, with_micro_sign

LEAST, MOST = 1e-60, 1e60
"""What a figure that is not zero lies between: nothing measured lies beyond, where squares and ratios overflow."""


@dataclass(frozen=True)
class Metric:
    """One figure of one run, or the summary of several runs."""

    name: str
    value: float
    """The run's figure (the median where there are samples); of a summary, the mean of its runs."""
    unit: str
    better: Better
    samples: tuple[float, ...] = ()
    """What the figure is the median of, where the file kept it."""
    runs: int = 1
    deviation: float = 0.0
    """Of a summary, the standard deviation between its runs."""
    questions: int = 0
    """Of a share of right answers: how many were asked for."""
    error: float = 0.0
    """Of a score: the standard error that its tool gives, which stands in for the number of questions."""

    @property
    def answers(self) -> float:
        """Of a share: how many answers it rests on, or a standard error is worth; 0 of any other figure."""
        if not 0 < self.value < 1:
            return self.questions
        return self.questions or (self.value * (1 - self.value) / self.error**2 if self.error else 0)


@dataclass(frozen=True)
class Run:
    """One run: its metrics by name, and what else decides whether it can be compared."""

    source: str
    """The file, and where in it."""
    metrics: dict[str, Metric]
    conditions: dict[str, str] = field(default_factory=dict)
    """The workload and the machine; runs that differ here measure different things."""
    answered: dict[str, float] = field(default_factory=dict)
    """What came back, by name: that of equal work is much the same in every run."""
    fault: str = ""
    """Why its figures mean nothing, such as failed requests."""
    unread: tuple[str, ...] = ()
    """What the file says that nobody here understands."""
    left_out: tuple[str, ...] = ()
    """Figures that are known and not judged, since one slow request moves them."""


def collect(
    source: str,
    metrics: list[Metric],
    conditions: dict[str, str] | None = None,
    fault: str = "",
    unread: Iterable[str] = (),
    answered: dict[str, float] | None = None,
) -> Run:
    """A run of `metrics`, checked.

    Raises `UsageError` on a repeated name, a figure that is no number, and a time, a rate or a count below zero.
    """
    named: dict[str, Metric] = {}
    for metric in metrics:
        if metric.name in named:
            raise UsageError(f"{source}: {metric.name!r} is there twice; give each run a file of its own")
        for figure in (metric.value, metric.deviation, metric.error, metric.questions, *metric.samples):
            if figure != 0 and not LEAST <= abs(figure) <= MOST:
                raise UsageError(f"{source}: {metric.name!r} holds {figure}, which is no measurement; run it again")
            if figure < 0 and is_amount(metric.name, metric.unit):
                raise UsageError(f"{source}: {metric.name!r} holds {figure:g}, below zero; was it edited?")
        unit = with_micro_sign(metric.unit)
        named[metric.name] = metric if unit == metric.unit else replace(metric, unit=unit)
    if not named:
        raise UsageError(f"{source}: no metric in it; it may come from a run that measured nothing")
    return Run(source, named, conditions or {}, answered or {}, fault, tuple(dict.fromkeys(unread)))


def from_samples(name: str, samples: list[float], unit: str, better: Better) -> Metric:
    """The metric of one run that kept its samples: their median."""
    return Metric(name, median(samples), unit, better, tuple(samples))
