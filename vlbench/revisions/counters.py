"""Both revisions counted on a device that is not there, each in a process of its own, and compared exactly."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from vlbench.comparing.counted import judge_cells
from vlbench.comparing.counted_cells import advice_of, counted_cell, points_of, why_incomplete
from vlbench.counting.job import CountJob, Point
from vlbench.counting.run import run_job
from vlbench.judging.judged import JudgedRow
from vlbench.record.baseline import CountedCell
from vlbench.record.counted import CountedTower
from vlbench.revisions.request import BASE, HEAD, Asked, Pair
from vlbench.towers.from_folder import TowerInFolder


def count(pair: Pair, asked: Asked, tower: str) -> list[JudgedRow]:
    """A row per point, at its full size. Raises UsageError for a tower or scenario that there is not."""
    points = [point for name in asked.scenarios for point in points_of(name)]
    towers = [pair.at(revision, tower) for revision in (pair.base, pair.head)]
    with ThreadPoolExecutor(2) as pool:
        base, head = pool.map(lambda at: _counted(at, points, asked), towers)
    return [row_of(*pair, tower, asked) for pair in zip(base, head, strict=True)]


def _counted(at: TowerInFolder, points: Sequence[Point], asked: Asked) -> list[tuple[CountedTower, Point]]:
    """The tower on every point, and what it was fed there; one that could not be counted says why."""
    name = str(at)
    job = CountJob(
        towers=(name,),
        variants=None,
        points=tuple(points),
        profile=asked.profile,
        dtype=asked.counted_dtype,
        keep_going=True,
    )
    so_far = run_job(job, folder=at.folder)
    return [(so_far.row(n, name), so_far.fed.get((n, name), point)) for n, point in enumerate(points)]


def row_of(base: tuple[CountedTower, Point], head: tuple[CountedTower, Point], tower: str, asked: Asked) -> JudgedRow:
    """The comparison of two counts of `tower`, each with what it was fed; missing where one cannot be trusted."""
    named = {BASE: base, HEAD: head}
    for name, (counted, point) in named.items():
        if reason := why_incomplete(counted):
            words = " ".join(filter(None, (tower, point.scenario, point.label, asked.counted_dtype, asked.profile)))
            return JudgedRow.missing(words, "counters", f"{name} cannot be counted: {reason}")
    before, after = (_cell(counted, tower, point, asked) for counted, point in named.values())
    return judge_cells(before, after, advice_of(head[0]))


def _cell(counted: CountedTower, tower: str, point: Point, asked: Asked) -> CountedCell:
    """By the name that both revisions have for the tower."""
    cell = counted_cell(counted, point, asked.profile, asked.counted_dtype)
    return cell.model_copy(update={"tower": tower})
