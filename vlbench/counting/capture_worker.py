"""The process that answers a `CaptureJob`: what ends a capture, on a ghost device; what a key forgets, on a shadow."""

import gc
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from vlbench.counting.capture import lint
from vlbench.counting.capture_job import CaptureJob, Event, Keyed, Linted
from vlbench.counting.further import smallest
from vlbench.counting.job import Finished, Planned
from vlbench.counting.keys import check_key
from vlbench.counting.rows import Row, rows_of
from vlbench.counting.worker import peak_host_bytes
from vlbench.counting_device import CountingDevice
from vlbench.process.parent import serve
from vlbench.record.capturable import KeyCheck
from vlbench.record.timing import handed_in
from vlbench.towers.plans import places_of

MOST_COMPUTED = 100_000_000
"""Parameters of a tower whose key is checked: it is computed some twenty times, on at most 300 patches."""


def run_job(job: CaptureJob, emit: Callable[[Event], None]) -> None:
    """Look at every row on every point. Raises UsageError for a job that cannot be done as asked."""
    torch.set_num_threads(1)
    gc.freeze()
    start = time.perf_counter()
    dtype, parameters = getattr(torch, job.dtype), dict[str, int]()
    with CountingDevice("ghost", job.profile, job.cudnn) as device:
        rows = [each for row in rows_of(job) for each in with_plan_handed_in(row)]
        emit(Planned(rows=tuple(row.name for row in rows)))
        for index, point in enumerate(job.points):
            for row in rows:
                linted, fed = lint(device, row, point, dtype, job.region)
                parameters[row.tower] = linted.parameters
                emit(Linted(point=index, row=linted, fed=fed))
    if job.key:
        with CountingDevice("shadow", job.profile, job.cudnn) as device:
            for row in rows:
                emit(Keyed(row=row.name, check=_check(device, row, job, parameters[row.tower])))
    emit(Finished(seconds=time.perf_counter() - start, peak_host_bytes=peak_host_bytes()))


def _check(device: CountingDevice, row: Row, job: CaptureJob, parameters: int) -> KeyCheck:
    if smallest(row.tower) == row.tower and parameters > MOST_COMPUTED:
        told = f"it has {parameters / 1e6:,.0f} million parameters, and a key is checked by computing on the CPU"
        return KeyCheck(verdict="not checked", reason=f"{told}: name a smaller configuration of it")
    return check_key(device, row, job.key, job.region)


def with_plan_handed_in(row: Row) -> list[Row]:
    """The row, and those in which its plan is handed in, where the tower takes one."""
    places = places_of(row.tower, "cuda")
    return [row, *(replace(row, name=handed_in(row.name, place), plan=place) for place in places)]


if __name__ == "__main__":
    serve(lambda parent: run_job(next(parent.hear(CaptureJob)), parent.say))
