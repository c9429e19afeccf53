"""Counts cells, each on its own account: a tower that cannot be counted does not cost the others theirs.

Cells of one file share a process as far as they are all combinations of some towers and some points, whatever else is
gated in the same run: a tower that remembers something between calls then counts the same every time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event

from vlbench.comparing.counted_cells import advice_of, counted_cell, why_incomplete
from vlbench.comparing.counted_moves import Advice
from vlbench.comparing.points import point_of
from vlbench.counting.job import CountJob, Point
from vlbench.counting.run import run_job
from vlbench.errors import UsageError
from vlbench.record.baseline import CountedCell
from vlbench.record.counted import CountedTower
from vlbench.record.schema import Dtype


@dataclass(frozen=True)
class Wanted:
    """A cell to count."""

    tower: str
    point: Point
    profile: str
    dtype: Dtype

    @classmethod
    def of(cls, cell: CountedCell) -> Wanted:
        """Raises UsageError where the scenario has no such point any more."""
        return cls(cell.tower, point_of(cell), cell.profile, cell.dtype)


@dataclass(frozen=True)
class Recounted:
    """A cell as it is now, or the reason why there is none."""

    cell: CountedCell | None = None
    reason: str = ""
    advice: Advice = field(default_factory=dict)
    """What removes its lines, by event and place."""


def recount(files: Sequence[Iterable[Wanted]]) -> list[dict[Wanted, Recounted]]:
    """The cells of each file. As many processes run at once as there are cores."""
    found: list[dict[Wanted, Recounted]] = [{} for _ in files]
    batches = [(into, batch) for into, cells in zip(found, files, strict=True) for batch in _batches(cells)]
    stop = Event()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            counts = pool.map(lambda each: _count(each[1], stop), batches)
            for (into, _), counted in zip(batches, counts, strict=True):
                into.update(counted)
        except BaseException:  # Ctrl-C among them, which has ended the processes as well: start no others
            stop.set()
            raise
    return found


def _batches(cells: Iterable[Wanted]) -> list[list[Wanted]]:
    """The cells, put together to all combinations of towers and points, for a job each."""
    points: dict[tuple[str, str, str], list[Wanted]] = {}
    for wanted in cells:
        points.setdefault((wanted.profile, wanted.dtype, wanted.tower), []).append(wanted)
    batches: dict[tuple[str, str, tuple[Point, ...]], list[Wanted]] = {}
    for (profile, dtype, _), same_tower in points.items():
        batches.setdefault((profile, dtype, tuple(each.point for each in same_tower)), []).extend(same_tower)
    return list(batches.values())


def _count(batch: Sequence[Wanted], stop: Event) -> dict[Wanted, Recounted]:
    """A batch in one process; where a cell ends that, those after it in another one."""
    found: dict[Wanted, Recounted] = {}
    while not stop.is_set() and (waiting := [wanted for wanted in batch if wanted not in found]):
        for each in _batches(waiting):
            found |= _run(each)
    return found


def _run(batch: Sequence[Wanted]) -> dict[Wanted, Recounted]:
    """What one process counted of a batch, with the cell that ended it, if one did."""
    towers, points = (tuple(dict.fromkeys(values)) for values in ([w.tower for w in batch], [w.point for w in batch]))
    first = batch[0]
    job = CountJob(
        towers=towers, variants=None, points=points, profile=first.profile, dtype=first.dtype, keep_going=True
    )
    try:
        so_far = run_job(job)
    except UsageError as error:
        return dict.fromkeys(batch, Recounted(reason=str(error)))
    if not so_far.planned:
        return dict.fromkeys(batch, Recounted(reason=f"the counting process did not start: {so_far.end}"))
    found: dict[Wanted, Recounted] = {}
    for wanted in sorted(batch, key=lambda each: (points.index(each.point), towers.index(each.tower))):
        row = so_far.counted.get((points.index(wanted.point), wanted.tower))
        if row is None:  # the process ended here
            return found | {wanted: Recounted(reason=so_far.end)}
        found[wanted] = _recounted(wanted, row, so_far.fed.get((points.index(wanted.point), wanted.tower)))
    return found


def _recounted(wanted: Wanted, row: CountedTower, fed: Point | None) -> Recounted:
    if reason := why_incomplete(row):
        return Recounted(reason=reason)
    return Recounted(counted_cell(row, fed or wanted.point, wanted.profile, wanted.dtype), advice=advice_of(row))
