"""Counts the cells of baselines again, each on its own account: a tower that cannot be counted costs no other its row.

Cells of one file share a process as far as they are all combinations of some towers and some points, whatever else is
gated in the same run: a tower that remembers something between calls then counts the same every time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from threading import Event

from vlbench.comparing.counted import judge_cells
from vlbench.comparing.counted_cells import CountResult, count_result, point_of, why_fed_otherwise, why_gone
from vlbench.counting.job import CountJob, Point
from vlbench.counting.run import Steps, run_job
from vlbench.errors import UsageError
from vlbench.judging.judged import JudgedRow
from vlbench.process.child import waiting_threads
from vlbench.record.baseline import Baseline, CountedCell
from vlbench.record.grouping import gathered
from vlbench.record.schema import Dtype


@dataclass(frozen=True)
class CountRequest:
    """A cell to count."""

    tower: str
    point: Point
    profile: str
    dtype: Dtype
    cudnn: str = ""
    """In place of the profile's own."""

    @classmethod
    def of(cls, cell: CountedCell) -> CountRequest:
        """Raises UsageError where the scenario has no such point any more."""
        return cls(cell.tower, point_of(cell), cell.profile, cell.dtype, cell.key.cudnn.partition(",")[0])


def count_again(baselines: Iterable[Baseline], steps: Steps = lambda done, of: None) -> list[dict[str, CountResult]]:
    """The counted cells of each baseline, by name, all counted at once; one whose scenario is gone says so."""
    results: list[dict[str, CountResult]] = []
    requests: list[dict[str, CountRequest]] = []
    for baseline in baselines:
        gone = {cell.name: reason for cell in baseline.counted if (reason := why_gone(cell)) is not None}
        results.append({name: CountResult(reason=reason) for name, reason in gone.items()})
        requests.append({cell.name: CountRequest.of(cell) for cell in baseline.counted if cell.name not in gone})
    counts = recount([each.values() for each in requests], steps)
    for result, requested, counted in zip(results, requests, counts, strict=True):
        result.update({name: counted[request] for name, request in requested.items()})
    return results


def judge_counted(stored: Sequence[CountedCell], counted: Mapping[str, CountResult]) -> list[JudgedRow]:
    """A row for each stored cell; `counted` has each by its name."""
    return [_judge(cell, counted[cell.name]) for cell in stored]


def _judge(cell: CountedCell, now: CountResult) -> JudgedRow:
    reason = why_fed_otherwise(cell, now.cell.grids) if now.cell else now.reason
    if now.cell is None or reason:
        return JudgedRow.missing(cell.name, "counters", reason or "")
    return judge_cells(cell, now.cell, now.advice)


def other_torch(stored: Iterable[CountedCell], counted: Mapping[str, CountResult]) -> str | None:
    """The torch of this run where a cell was stored with another one."""
    for cell in stored:
        now = counted[cell.name].cell
        if now is not None and now.key.torch_version != cell.key.torch_version:
            return now.key.torch_version
    return None


def recount(
    files: Sequence[Iterable[CountRequest]], steps: Steps = lambda done, of: None
) -> list[dict[CountRequest, CountResult]]:
    """The cells of each file. As many processes run at once as there are cores. `steps` is told of each one done."""
    results: list[dict[CountRequest, CountResult]] = [{} for _ in files]
    batches = [(result, batch) for result, cells in zip(results, files, strict=True) for batch in _batches(cells)]
    stop, done, of = Event(), count(1), sum(len(batch) for _, batch in batches)

    def step() -> None:
        steps(next(done), of)

    with waiting_threads(os.cpu_count()) as pool:
        try:
            counts = pool.map(lambda each: _count(each[1], stop, step), batches)
            for (result, _), counted in zip(batches, counts, strict=True):
                result.update(counted)
        except BaseException:  # Ctrl-C among them: start no other process
            stop.set()
            raise
    return results


def _batches(cells: Iterable[CountRequest]) -> list[list[CountRequest]]:
    """The cells, put together to all combinations of towers and points, for a job each."""
    towers = gathered(((each.profile, each.cudnn, each.dtype, each.tower), each) for each in cells)
    batches: dict[tuple[str, str, str, tuple[Point, ...]], list[CountRequest]] = {}
    for (profile, cudnn, dtype, _), same_tower in towers.items():
        points = tuple(each.point for each in same_tower)
        batches.setdefault((profile, cudnn, dtype, points), []).extend(same_tower)
    return list(batches.values())


def _count(batch: Sequence[CountRequest], stop: Event, step: Callable[[], None]) -> dict[CountRequest, CountResult]:
    """A batch in one process; where a cell ends that, those after it in another one."""
    results: dict[CountRequest, CountResult] = {}
    while not stop.is_set() and (waiting := [request for request in batch if request not in results]):
        for each in _batches(waiting):
            results |= _run(each, step)
    return results


def _run(batch: Sequence[CountRequest], step: Callable[[], None]) -> dict[CountRequest, CountResult]:
    """What one process counted of a batch, with the cell that ended it, if one did."""
    towers = tuple(dict.fromkeys(each.tower for each in batch))
    points = tuple(dict.fromkeys(each.point for each in batch))
    profile, cudnn, dtype = batch[0].profile, batch[0].cudnn, batch[0].dtype
    job = CountJob(towers=towers, points=points, profile=profile, cudnn=cudnn, dtype=dtype, keep_going=True)
    try:
        so_far = run_job(job, steps=lambda *_: step())
    except UsageError as error:
        return dict.fromkeys(batch, CountResult(reason=str(error)))
    if not so_far.planned:
        return dict.fromkeys(batch, CountResult(reason=f"the counting process did not start: {so_far.end}"))
    results: dict[CountRequest, CountResult] = {}
    for request in sorted(batch, key=lambda each: (points.index(each.point), towers.index(each.tower))):
        key = points.index(request.point), request.tower
        row = so_far.counted.get(key)
        if row is None:  # the process ended here
            return results | {request: CountResult(reason=so_far.end)}
        fed, work = so_far.fed.get(key, request.point), so_far.work.get(request.tower)
        results[request] = count_result(row, fed, profile, dtype, work)
    return results
