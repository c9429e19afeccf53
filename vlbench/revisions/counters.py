"""Both revisions counted on a device that is not there, each in a process of its own, and compared exactly."""

from collections.abc import Mapping, Sequence

from vlbench.comparing.counted import judge_cells
from vlbench.comparing.counted_cells import CountResult, count_result, points_of
from vlbench.counting.job import CountJob, Point
from vlbench.counting.run import run_job
from vlbench.judging.judged import JudgedRow
from vlbench.process.child import waiting_threads
from vlbench.record.schema import Dtype
from vlbench.revisions.request import BASE, HEAD, Request
from vlbench.revisions.sides import PlacedTower, Sides

ACROSS = "across torch {} and {}, which may make other operations of one call: {}"


def count(pair: Sides, request: Request, tower: str) -> list[JudgedRow]:
    """A row per point, at its full size. Raises UsageError for a tower or scenario that there is not."""
    points = [point for name in request.scenarios for point in points_of(name)]
    with waiting_threads(2) as pool:
        base, head = pool.map(
            lambda at: counted_at(at, points, request.profile, request.cudnn, request.counted_dtype), pair.towers(tower)
        )
    return [
        row_of(before, after, tower, point, request) for before, after, point in zip(base, head, points, strict=True)
    ]


def counted_at(
    at: PlacedTower, points: Sequence[Point], profile: str, cudnn: str, dtype: Dtype, *, own_session: bool = False
) -> list[CountResult]:
    """The tower on every point; one that could not be counted says why."""
    name = str(at)
    job = CountJob(towers=(name,), points=tuple(points), profile=profile, cudnn=cudnn, dtype=dtype, keep_going=True)
    so_far = run_job(job, folder=at.folder, python=at.python, own_session=own_session)
    return [
        count_result(
            so_far.row(index, name), so_far.fed.get((index, name), point), profile, dtype, so_far.work.get(name)
        )
        for index, point in enumerate(points)
    ]


def row_of(base: CountResult, head: CountResult, tower: str, point: Point, request: Request) -> JudgedRow:
    """The comparison of two counts, under the name that both revisions have for the tower."""
    return judged_counts({BASE: base, HEAD: head}, tower, point, request.counted_dtype, request.profile)


def judged_counts(sides: Mapping[str, CountResult], tower: str, point: Point, dtype: Dtype, profile: str) -> JudgedRow:
    """The comparison of two sides by name, the older first. It is missing where one of them cannot be trusted.

    Counts of two versions of torch are compared here, where that is what is asked for, and the row says so.
    """
    cells = []
    for name, result in sides.items():
        if result.cell is None:
            words = " ".join(filter(None, (tower, point.scenario, point.label, dtype, profile)))
            return JudgedRow.missing(words, "counters", f"{name} cannot be counted: {result.reason}")
        cells.append(result.cell.model_copy(update={"tower": tower}))
    before, after = cells
    old, new = (each.key.torch_version for each in cells)
    alike = before.model_copy(update={"key": before.key.model_copy(update={"torch_version": new})})
    row = judge_cells(alike, after, list(sides.values())[-1].advice)
    return row if old == new else row.model_copy(update={"reason": ACROSS.format(old, new, row.reason)})
