"""The process that counts rows at scale and predicts each: as `vlbench.counting.worker`, with one figure more."""

from collections.abc import Callable

from vlbench.counting.job import CountJob, Event
from vlbench.counting.worker import run_job as count
from vlbench.kernel_times import board
from vlbench.predicting.at_scale import predicted_span
from vlbench.predicting.kernels import Kernels
from vlbench.process.parent import serve


def run_job(job: CountJob, emit: Callable[[Event], None]) -> None:
    """Count and predict every row on every point. Raises UsageError for a job that cannot be done as asked."""
    boards = [Kernels(board(name)) for name in job.boards]
    count(job, emit, lambda found: {"predicted": tuple(predicted_span(found, kernels) for kernels in boards)})


if __name__ == "__main__":
    serve(lambda parent: run_job(next(parent.hear(CountJob)), parent.say))
