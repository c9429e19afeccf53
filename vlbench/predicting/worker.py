"""The predicting process: counts each tower in order, and says line by line what each board would take for it."""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch

from vlbench.counting.job import Finished, Planned, Point
from vlbench.counting.measure import resolved, with_place
from vlbench.counting.rows import Row, rows_of
from vlbench.counting.scaled import Scaled, scaled
from vlbench.counting.worker import peak_host_bytes
from vlbench.counting_device import CountingDevice
from vlbench.errors import UsageError
from vlbench.kernel_times import board
from vlbench.predicting.floor import floor_of
from vlbench.predicting.job import Event, Foretold, PredictJob
from vlbench.predicting.kernels import Kernels
from vlbench.predicting.predicted import Predicted
from vlbench.predicting.rows import Simulated, row_of, simulated
from vlbench.predicting.trace import write_timelines
from vlbench.process.parent import serve
from vlbench.record import sequence
from vlbench.towers.tower import Tower


def run_job(job: PredictJob, emit: Callable[[Event], None]) -> None:
    """Predict every row on every point and board. Raises UsageError for a job that cannot be done as asked."""
    torch.set_num_threads(1)
    gc.freeze()  # what torch has imported need not be looked through again before each tower
    start = time.perf_counter()
    kernels = [Kernels(board(name)) for name in job.boards]
    drawn: list[Simulated] = []
    with CountingDevice("ghost", job.count.profile, job.count.cudnn) as device:
        rows = rows_of(job.count)
        emit(Planned(rows=tuple(row.name for row in rows)))
        for index, point in enumerate(job.count.points):
            first: dict[str, Simulated] = {}
            for row in rows:
                tower, fed = resolved(device, row.tower, point)
                for found, run in _predicted(device, tower, row, fed, job, kernels, first):
                    drawn += [run] if run and job.trace else []
                    emit(Foretold(point=index, row=found, fed=fed))
    if job.trace:
        write_timelines(drawn, Path(job.trace))
    emit(Finished(seconds=time.perf_counter() - start, peak_host_bytes=peak_host_bytes()))


def _predicted(
    device: CountingDevice,
    tower: Tower,
    row: Row,
    fed: Point,
    job: PredictJob,
    kernels: Sequence[Kernels],
    first: dict[str, Simulated],
) -> Iterator[tuple[Predicted, Simulated | None]]:
    """The row on each board, with its simulation where there is one; `first` is kept by board."""
    counted = _counted(device, row, fed, job)
    for each in kernels:
        name = each.board.name
        if isinstance(counted, str):
            yield Predicted(row=row.name, tower=row.tower, gpu=name, forward=job.forward, failed=counted), None
            continue
        found = simulated(row.name, row.tower, job.forward, counted.chunks(job.forward), each)
        found.events = partial(_events, counted, job)
        events = [] if tower.model else found.events()  # the floor of our models is arithmetic
        floor = floor_of(each, tower.model or "", fed.grids, job.count.dtype, events)
        yield row_of(found, first.get(name), floor), found
        first.setdefault(name, found)


def _events(counted: Scaled, job: PredictJob) -> Sequence[sequence.Event]:
    """In the order in which they came, each with the number of its block."""
    return counted.sequences().of(job.forward)


def _counted(device: CountingDevice, row: Row, fed: Point, job: PredictJob) -> Scaled | str:
    """What is counted of the row, or why it cannot be."""
    try:
        return scaled(device, row, fed, getattr(torch, job.count.dtype))
    except UsageError as error:
        return str(error)
    except Exception as error:  # whatever a tower raises
        return with_place(error)


if __name__ == "__main__":
    serve(lambda parent: run_job(next(parent.hear(PredictJob)), parent.say))
