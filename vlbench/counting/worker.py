"""The counting process: reads one job from stdin, counts, and says so line by line on stdout."""

import gc
import resource
import sys
import time
from collections.abc import Callable

import torch

from vlbench.counting.job import Counted, CountedAtScale, CountJob, Event, Finished, Planned, Point
from vlbench.counting.measure import count_tower, further_of
from vlbench.counting.rows import Row, rows_of
from vlbench.counting.scaled import Also, row_at_scale
from vlbench.counting_device import CountingDevice
from vlbench.errors import UsageError
from vlbench.process.parent import serve
from vlbench.record.counted import CountedTower, Further
from vlbench.record.work import Work


def run_job(job: CountJob, emit: Callable[[Event], None], also: Also = lambda found: {}) -> None:
    """Count every row on every point, and find out what is `also` wanted of those at scale.

    Raises UsageError for a job that cannot be done as asked.
    """
    torch.set_num_threads(1)
    gc.freeze()  # what torch has imported need not be looked through again before each tower
    start = time.perf_counter()
    with CountingDevice(
        "ghost", job.profile, job.cudnn
    ) as device:  # modules are imported inside, so that they see a GPU
        rows = [Row(text, text) for text in job.towers] if job.keep_going or job.at_scale else rows_of(job)
        emit(Planned(rows=tuple(row.name for row in rows)))
        further: dict[str, tuple[Further, Work | None]] = {}
        for index, point in enumerate(job.points):
            for row in rows:
                if job.at_scale:
                    found = row_at_scale(device, row, point, getattr(torch, job.dtype), also)
                    emit(CountedAtScale(point=index, row=found))
                    continue
                work: Work | None = None
                counted, fed = _counted(device, row, point, job)
                if job.further and counted.failed is None and row.plan == "inside":
                    if row.tower not in further:
                        further[row.tower] = further_of(device, row.tower, getattr(torch, job.dtype))
                    calls, work = further[row.tower]
                    counted = counted.model_copy(update={"further": calls})
                emit(Counted(point=index, row=counted, fed=fed, work=work))
    emit(Finished(seconds=time.perf_counter() - start, peak_host_bytes=peak_host_bytes()))


def _counted(device: CountingDevice, row: Row, point: Point, job: CountJob) -> tuple[CountedTower, Point | None]:
    try:
        return count_tower(device, row, point, getattr(torch, job.dtype))
    except UsageError as error:
        if not job.keep_going:
            raise
        return CountedTower(name=row.name, tower=row.tower, failed=str(error)), None


def peak_host_bytes() -> int:
    """Most memory that this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    serve(lambda parent: run_job(next(parent.hear(CountJob)), parent.say))
