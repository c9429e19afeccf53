"""Runs predicting jobs in processes of their own, one for each architecture, and puts together what they say."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from vlbench.counting.job import CountJob, Finished, Planned, Point, by_fed
from vlbench.counting.run import Steps
from vlbench.counting_device.profiles import CUDNN, known_gpu, profile
from vlbench.errors import UsageError, check_choice
from vlbench.kernel_times import board, boards as known_boards
from vlbench.kernel_times.stored import BOARD, StoredBoard
from vlbench.predicting.host import host_times
from vlbench.predicting.job import EVENTS, Foretold, PredictJob
from vlbench.predicting.predicted import Predicted, PredictedGroup, Prediction
from vlbench.process.child import Child, ChildError
from vlbench.record.sequence import ForwardName
from vlbench.untrusted.files import size_of
from vlbench.version import __version__

WORKER = "vlbench.predicting.worker"


def run_predict(
    count: CountJob,
    boards: Sequence[str],
    forward: ForwardName = "warm",
    trace: Path | None = None,
    timeout: float = 900,
    steps: Steps = lambda done, of: None,
) -> Prediction:
    """The prediction of every tower of `count` on every board, in the order that both are named in.

    Raises UsageError for a job that is refused, and for a process that ended before its work did.
    """
    sources = stored_boards(boards)  # refused before anything is counted
    asked = by_profile(sources)
    if trace is not None and len(asked) > 1:
        raise UsageError("--perfetto: these GPUs are of several architectures; give --gpu for one of them")
    found: list[Foretold] = []
    for architecture, names in asked.items():
        job = PredictJob(
            count=count.model_copy(update={"profile": architecture}),
            boards=names,
            forward=forward,
            trace=None if trace is None else str(trace.absolute()),
        )
        share = partial(_of_all, len(found), len(boards) / len(names), steps)
        found += _said(job, [sources[name].board for name in names], timeout, share)
    order = {sources[name].board: place for place, name in enumerate(boards)}
    return Prediction(
        vlbench=__version__,
        dtype=count.dtype,
        cudnn=count.cudnn or CUDNN,
        hosts=host_times().checksum,
        boards={each.board: f"{each.source.package} {each.source.version}, {each.gpu}" for each in sources.values()},
        groups=tuple(
            group for index, point in enumerate(count.points) for group in _groups(index, point, found, order)
        ),
    ).with_checksum()


def _of_all(before: int, times: float, steps: Steps, done: int, of: int) -> None:
    """Steps of one architecture among those of all, so that the count goes on rather than start anew."""
    steps(before + done, round(of * times))


def check_board(name: str) -> None:
    """Raises UsageError for what is neither a stored board nor, by its name, a file."""
    if name.endswith((".json", ".gz")):
        size_of(Path(name), BOARD)
        return
    if (gpu := known_gpu(name)) and gpu[0].lower() not in known_boards():
        raise UsageError(
            f"--gpu: no kernel times of {gpu[0]} are stored; there are those of {', '.join(known_boards())}; "
            f"`vlbench count --as {gpu[1]}` counts for it, and `vlbench calibrate --board FILE` on such a "
            "machine makes a board for `--gpu FILE`"
        )
    check_choice("--gpu", name, known_boards())


def stored_boards(boards: Sequence[str]) -> dict[str, StoredBoard]:
    """What is stored of each board, by the name or file that it was asked for by.

    Raises UsageError for what is no board, and for two that have one name, by which their rows are told apart.
    """
    found: dict[str, StoredBoard] = {}
    called: dict[str, str] = {}
    for name in boards:
        check_board(name)
        stored = board(name).stored
        if other := called.get(stored.board):
            raise UsageError(f"--gpu: {other} and {name} are both named {stored.board}; give one, or rename one")
        called[stored.board] = name
        profile(stored.profile, named=f"{name}: profile")
        found[name] = stored
    return found


def by_profile(boards: Mapping[str, StoredBoard]) -> dict[str, tuple[str, ...]]:
    """The boards by what the counting device answers for in their place."""
    found: dict[str, tuple[str, ...]] = {}
    for name, stored in boards.items():
        found[stored.profile] = (*found.get(stored.profile, ()), name)
    return found


def _said(job: PredictJob, gpus: Sequence[str], timeout: float, steps: Steps) -> list[Foretold]:
    """What the process said; rows that it did not come to say why. `gpus` are the names of the job's boards."""
    found: list[Foretold] = []
    planned: tuple[str, ...] = ()
    try:
        with Child(WORKER, EVENTS, timeout) as child:
            child.tell(job)
            for event in child.until(Finished):
                match event:
                    case Planned(rows=planned):
                        pass
                    case Foretold():
                        found.append(event)
                        steps(len(found), len(planned) * len(gpus) * len(job.count.points))
    except ChildError as end:
        late = f"predicting did not end within {timeout:.0f} s; name fewer towers or a smaller grid"
        if end.late or not planned:
            raise UsageError(late if end.late else f"the predicting process ended: {end.reason}") from None
        found += _not_reached(job, gpus, planned, found, end.reason)
    return found


def _not_reached(
    job: PredictJob, gpus: Sequence[str], planned: Sequence[str], found: Sequence[Foretold], reason: str
) -> Iterator[Foretold]:
    """The rows that were to come: the first is the one during which the process ended."""
    said = {(each.point, each.row.row, each.row.gpu): each for each in found}
    culprit = ""
    for index, point in enumerate(job.count.points):
        fed = next((each.fed for each in found if each.point == index), point)
        for row, gpu in ((row, gpu) for row in planned for gpu in gpus if (index, row, gpu) not in said):
            culprit = culprit or row
            why = reason if row == culprit else f"not reached: {culprit} ended the process; leave it out"
            yield Foretold(
                point=index, fed=fed, row=Predicted(row=row, tower=row, gpu=gpu, forward=job.forward, failed=why)
            )


def _groups(index: int, point: Point, found: Sequence[Foretold], order: dict[str, int]) -> Iterator[PredictedGroup]:
    """The rows of a point, in a group for each kind of grids that they were fed."""
    for fields, rows in by_fed(point, ((each.fed, each.row) for each in found if each.point == index)):
        yield PredictedGroup(**fields, rows=tuple(sorted(rows, key=lambda row: order[row.gpu])))
