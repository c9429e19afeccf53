"""Runs a counting job in a process of its own and puts together what it says."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vlbench.counting.job import EVENTS, Counted, CountedAtScale, CountJob, Finished, Planned, Point, by_fed
from vlbench.counting_device.profiles import CUDNN
from vlbench.errors import UsageError
from vlbench.process.child import Child, ChildError
from vlbench.process.interpreter import Interpreter
from vlbench.record.at_scale import AtScale, RowAtScale
from vlbench.record.counted import CountedTower, CountGroup, CountReport
from vlbench.record.work import Work
from vlbench.version import __version__

WORKER = "vlbench.counting.worker"


@dataclass
class SoFar:
    """What a counting process said before it ended."""

    planned: tuple[str, ...] = ()
    """Names of the rows that were to come, on each point in turn; empty where it did not get that far."""
    counted: dict[tuple[int, str], CountedTower] = field(default_factory=dict)
    """By index of the point and name of the row."""
    fed: dict[tuple[int, str], Point] = field(default_factory=dict)
    """The points with the grids that these rows were fed, those left out that could not be had."""
    at_scale: dict[tuple[int, str], RowAtScale] = field(default_factory=dict)
    """Where only that was wanted: by index of the point and tower."""
    work: dict[str, Work] = field(default_factory=dict)
    """Of a small call, by name of the row."""
    finished: Finished | None = None
    end: str = ""
    """Where it did not end well: how it did."""
    late: bool = False
    """Did it end because its time was over?"""

    def row(self, point: int, name: str) -> CountedTower:
        """What was counted, or that the process ended before."""
        return self.counted.get((point, name)) or CountedTower(name=name, tower=name, failed=self.end)


Steps = Callable[[int, int], None]
"""Is told how many rows are done, and of how many."""


def run_job(
    job: CountJob,
    timeout: float = 900,
    folder: Path | None = None,
    steps: Steps = lambda done, of: None,
    worker: str | None = None,
    python: Interpreter | None = None,
    *,
    partly: bool = False,
    own_session: bool = False,
) -> SoFar:
    """Count `job` in a process of its own, for `timeout` seconds at most. Raises UsageError for a refused job.

    It raises, too, where the time was over before anything was planned, unless `partly`.

    The process is of the module `worker`, that which counts where none is named, and starts in `folder`, or here, by
    `python` or by this one.
    """
    so_far = SoFar()
    try:
        with Child(worker or WORKER, EVENTS, timeout, folder=folder, python=python, own_session=own_session) as child:
            child.tell(job)
            for event in child.until(Finished):
                match event:
                    case Planned(rows=rows):
                        so_far.planned = rows
                    case Counted(point=point, row=row, fed=fed, work=work):
                        so_far.counted[point, row.name] = row
                        if work is not None:
                            so_far.work[row.name] = work
                        if fed is not None:
                            so_far.fed[point, row.name] = fed
                        steps(len(so_far.counted), len(so_far.planned) * len(job.points))
                    case CountedAtScale(point=point, row=scaled):
                        so_far.at_scale[point, scaled.name] = scaled
                        steps(len(so_far.at_scale), len(so_far.planned) * len(job.points))
                    case Finished():
                        so_far.finished = event
    except ChildError as end:
        so_far.end, so_far.late = end.reason, end.late
        if end.late:
            so_far.end = f"counting did not end within {timeout:.0f} s; count fewer towers or a smaller grid"
            if not so_far.planned and not partly:
                raise UsageError(so_far.end) from None
    return so_far


def run_at_scale(
    job: CountJob,
    names: Mapping[str, str],
    model: str,
    timeout: float,
    steps: Steps = lambda done, of: None,
    worker: str | None = None,
    late: str = "",
) -> tuple[AtScale, ...]:
    """What rows ask of a GPU at the size of `model`, a record for each point; `names` has the tower of each row.

    A row that could not be counted says why, also where the process ended or the job was refused; where its time was
    over, in the words `late`.
    """
    so_far = SoFar(late=True)
    if timeout > 0:
        try:
            so_far = run_job(job, timeout, steps=steps, worker=worker, partly=True)
        except UsageError as error:  # times that were measured are worth more
            so_far = SoFar(end=str(error))
    so_far.end = late if so_far.late and late else so_far.end
    made = []
    for index, point in enumerate(job.points):
        rows = [
            (so_far.at_scale.get((index, tower)) or RowAtScale(name=name, tower=tower, failed=so_far.end)).model_copy(
                update={"name": name}
            )
            for name, tower in names.items()
        ]
        record = AtScale(
            model=model,
            point=point.label,
            grids=point.grids,
            dtype=job.dtype,
            profile=job.profile,
            cudnn=job.cudnn or CUDNN,
            rows=tuple(rows),
            seconds=so_far.finished.seconds if so_far.finished else 0,
        )
        made.append(record)
    return tuple(made)


def run_count(job: CountJob, timeout: float = 900, steps: Steps = lambda done, of: None) -> CountReport:
    """The report of `job`; a row during which the process ended says so. Raises UsageError for a refused job."""
    so_far = run_job(job, timeout, steps=steps)
    if not so_far.planned:
        raise RuntimeError(f"the counting process said nothing: {so_far.end}")
    return CountReport(
        vlbench=__version__,
        profile=job.profile,
        cudnn=job.cudnn or CUDNN,
        dtype=job.dtype,
        groups=tuple(group for index, point in enumerate(job.points) for group in _groups(so_far, index, point)),
        seconds=so_far.finished.seconds if so_far.finished else 0,
        peak_host_bytes=so_far.finished.peak_host_bytes if so_far.finished else 0,
    ).with_checksum()


def _groups(so_far: SoFar, index: int, point: Point) -> Iterator[CountGroup]:
    """The rows of a point, in a group for each kind of grids that they were fed."""
    known = [so_far.fed[index, name] for name in so_far.planned if (index, name) in so_far.fed]
    usual = [*known, point][0]
    pairs = ((so_far.fed.get((index, name), usual), so_far.row(index, name)) for name in so_far.planned)
    for fields, towers in by_fed(point, pairs):
        yield CountGroup(**fields, towers=towers)
