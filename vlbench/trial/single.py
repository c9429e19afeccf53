"""One variant in this process, for profilers: it is handed out only after it passed its accuracy check."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from vlbench.record.exactness import Accuracy
from vlbench.trial.job import Job
from vlbench.trial.settle import settle
from vlbench.trial.store import Apart
from vlbench.trial.tower_bench import TowerBench


class InaccurateError(Exception):
    """The variant is wrong, so where its time goes means nothing."""

    def __init__(self, name: str, accuracy: Accuracy) -> None:
        super().__init__(f"{name} failed its accuracy check and is not profiled: {accuracy.reason}")
        self.accuracy = accuracy


@dataclass(frozen=True)
class WarmVariant:
    """A variant that passed, warm for the batch that is fed in."""

    batch: str
    accuracy: Accuracy
    on_cuda: bool
    run: Callable[[], object]

    def forward(self) -> None:
        """One forward as it is timed: in inference mode, until the GPU is done."""
        with torch.inference_mode():
            self.run()
        if self.on_cuda:
            torch.cuda.synchronize()


def check_alone(job: Job) -> WarmVariant:
    """Build the job's last variant and check it against the reference tower. Raises InaccurateError if it is wrong."""
    settle(job.threads)
    with Apart() as store:
        bench, variant = TowerBench(job, store), job.variants[-1]
        checked, subject = bench.check(variant)
    if subject is None:
        raise InaccurateError(variant.name, checked.accuracy)
    run = partial(subject.run, subject.prepare(bench.inputs.fresh(bench.inputs.rotating[0])))
    return WarmVariant(bench.description, checked.accuracy, job.device == "cuda", run)
