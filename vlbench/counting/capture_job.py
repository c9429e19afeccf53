"""What is asked of forwards that are to be CUDA graphs, and the process in which it is answered. Imports no torch."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from vlbench.counting.job import CountJob, Finished, Planned, Point, by_fed
from vlbench.counting.run import Steps
from vlbench.errors import UsageError
from vlbench.process.child import Child, ChildError
from vlbench.process.messages import Message, Refused
from vlbench.record.capturable import CapturableGroup, CapturableReport, CapturableRow, KeyCheck
from vlbench.version import __version__

WORKER = "vlbench.counting.capture_worker"
FACTS = {
    "tokens": "how many tokens the batch has",
    "items": "how many pictures and videos",
    "frames": "how many frames, of all of them together",
    "lengths": "the patches of each frame, in order",
    "longest": "the patches of the largest frame",
    "grids": "frames, rows and columns of each item, in order",
    "dtype": "the dtype of the pixels",
}
"""What a key may be made of, by name."""


class CaptureJob(CountJob):
    """Towers x points: can each forward, or a region of it, be a CUDA graph, and is its key sound?"""

    region: tuple[str, str] | None = None
    """The first and the last stage of what is asked about; None: the whole forward."""
    key: tuple[str, ...] = ()
    """Names of `FACTS`; none: no key is asked about."""


class Linted(Message):
    """One row is done on one point."""

    event: Literal["linted"] = "linted"
    point: int
    row: CapturableRow
    fed: Point


class Keyed(Message):
    """The key of a row was checked, on small batches of its own."""

    event: Literal["keyed"] = "keyed"
    row: str
    check: KeyCheck


Event = Planned | Linted | Keyed | Refused | Finished
EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


def read_key(text: str | Sequence[str] | None) -> tuple[str, ...]:
    """The facts of a key such as tokens,frames. Raises UsageError."""
    if text is None:
        return ()
    names = [each.strip() for each in (text.split(",") if isinstance(text, str) else text)]
    for name in names:
        if name not in FACTS:
            raise UsageError(f"--key: there is no {name!r:.60}; a key is made of {', '.join(FACTS)}, joined by commas")
    return tuple(dict.fromkeys(names))


def read_region(text: str | None) -> tuple[str, str] | None:
    """The first and the last stage of a region such as block[0].attention..merger. Raises UsageError."""
    if text is None:
        return None
    first, dots, last = text.partition("..")
    if not first or (dots and not last):
        raise UsageError(f"--region: {text!r:.60} must be STAGE..STAGE, such as block[0].attention..merger")
    return first, last or first


def run_capture(job: CaptureJob, timeout: float = 900, steps: Steps = lambda done, of: None) -> CapturableReport:
    """The answers; a row during which the process ended says so. Raises UsageError for a refused job."""
    planned: tuple[str, ...] = ()
    linted: dict[tuple[int, str], Linted] = {}
    keyed: dict[str, KeyCheck] = {}
    seconds, failed = 0.0, ""
    try:
        with Child(WORKER, EVENTS, timeout) as child:
            child.tell(job)
            for event in child.until(Finished):
                match event:
                    case Planned():
                        planned = event.rows
                        continue
                    case Linted(point=point, row=row):
                        linted[point, row.name] = event
                    case Keyed(row=name, check=check):
                        keyed[name] = check
                    case Finished():
                        seconds = event.seconds
                        continue
                steps(len(linted) + len(keyed), len(planned) * (len(job.points) + bool(job.key)))
    except ChildError as end:
        late = f"counting did not end within {timeout:.0f} s; name fewer towers or a smaller grid"
        failed = late if end.late else end.reason
        if not planned:
            raise UsageError(f"tower {' and '.join(map(repr, job.towers))}: {failed}") from None
    return CapturableReport(
        vlbench=__version__,
        profile=job.profile,
        cudnn=job.cudnn,
        dtype=job.dtype,
        region=job.region,
        key=job.key,
        groups=tuple(_groups(job, planned, linted, keyed, failed)),
        seconds=seconds,
    ).with_checksum()


def _groups(
    job: CaptureJob, planned: Sequence[str], linted: dict[tuple[int, str], Linted], keyed: dict[str, KeyCheck], end: str
) -> Iterator[CapturableGroup]:
    """The rows of each point, in a group for each kind of grids that they were fed."""
    for index, point in enumerate(job.points):
        pairs: list[tuple[Point, CapturableRow]] = []
        for name in planned:
            done = linted.get((index, name))
            row = done.row if done else CapturableRow(name=name, tower=name, failed=end)
            check = keyed.get(name)
            if job.key and check is None:
                check = KeyCheck(verdict="not checked", reason=end or "it was not reached")
            late = check.late if check and row.capturable else ""  # then the second forward is not all of it
            row = row.model_copy(update={"key": check, "failed": late or row.failed})
            pairs.append((done.fed if done else point, row))
        for fields, rows in by_fed(point, pairs):
            yield CapturableGroup(**fields, rows=rows)
