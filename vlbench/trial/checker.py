"""Checks the variants of a job and times nothing: `python -m vlbench.trial.checker`.

The reference tower runs here, the variants in the judged process, which therefore has nothing to copy.
"""

from collections.abc import Callable
from functools import partial
from typing import cast

from torch import nn

from vlbench.errors import UsageError
from vlbench.implementations.optimized import FlagError
from vlbench.implementations.weights import CheckpointError
from vlbench.process.parent import Parent, serve
from vlbench.trial.job import Checked, Event, Finished, Job, VariantJob
from vlbench.trial.judged import Start
from vlbench.trial.remote import Remote
from vlbench.trial.settle import settle
from vlbench.trial.store import Here
from vlbench.trial.subject import Subject, prepared
from vlbench.trial.tower_bench import TowerBench

LONG = 24 * 3600.0
"""Whoever started this process ends it sooner."""


class CheckBench(TowerBench):
    """Judges what the judged process returns."""

    def __init__(self, job: Job, remote: Remote) -> None:
        self._remote = remote
        super().__init__(job, Here())

    def check(self, variant: VariantJob) -> tuple[Checked, Subject | None]:
        """Its accuracy; there is nothing to time."""
        is_reference = variant is self.job.variants[0]
        build = partial(super().variant if is_reference else self._there, variant)
        made = self.judge.check(variant.exactness, partial(build, exact=True), partial(build, exact=False))
        raised = not made.passed and made.reason == self._remote.failed
        timed = None if is_reference or not made.passed else self._timed
        work = timed.work(self.reference.fed, self.job.dtype) if timed else ()
        return Checked(variant=variant.name, accuracy=made, raised=raised, work=work), None

    def _there(self, variant: VariantJob, *, exact: bool) -> nn.Module:
        self._timed = self._remote.build(variant.name, exact=exact)[0]  # the one in the timed dtype is the last
        return cast("nn.Module", self._timed)


def run_job(job: Job, emit: Callable[[Event], None], mark: Callable[[str], None]) -> None:
    """Check every variant. Raises UsageError, CheckpointError or FlagError when it cannot be done as asked."""
    settle(job.threads)
    with Remote(lambda exchange: Start(job=job, threads=job.threads, exchange=exchange), LONG) as remote:
        bench = CheckBench(job, remote)
        emit(prepared(bench))
        for variant in job.variants:
            mark(variant.name)
            emit(bench.check(variant)[0])
    emit(Finished())


def _work(parent: Parent) -> None:
    run_job(next(parent.hear(Job)), parent.say, parent.mark)


if __name__ == "__main__":
    serve(_work, (UsageError, CheckpointError, FlagError))
