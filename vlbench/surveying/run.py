"""Counts the listed towers of a package in a process of its own; one that ends it is named, and the others go on."""

import time
from collections.abc import Callable
from typing import Any

from vlbench.counting.run import Steps
from vlbench.errors import UsageError
from vlbench.process.child import Child, ChildError
from vlbench.record.atlas import Atlas, AtlasRow
from vlbench.surveying.job import EVENTS, AtlasFinished, AtlasJob, Opened, RowCounted
from vlbench.surveying.listed import Listed
from vlbench.version import __version__

WORKER = "vlbench.surveying.worker"
MOST_SECONDS = 120.0
"""For one tower: none of transformers' takes ten."""


def count_atlas(
    job: AtlasJob,
    *,
    aliases: dict[str, str] | None = None,
    left_out: dict[str, str] | None = None,
    steps: Steps = lambda done, of: None,
    most_seconds: float = MOST_SECONDS,
) -> Atlas:
    """The atlas of `job`. Raises UsageError for a package that is not there."""
    start = time.monotonic()
    rows: dict[str, AtlasRow] = {}
    opened: Opened | None = None

    def done(row: AtlasRow) -> None:
        rows[row.name] = row
        steps(len(rows), len(job.towers))

    while (waiting := [each for each in job.towers if each.name not in rows]) or opened is None:
        opened, ended = _one_process(job.model_copy(update={"towers": tuple(waiting)}), done, most_seconds)
        if ended is None:
            break
        for left in [each for each in waiting if each.name not in rows][:1]:
            done(_row_of(left, f"while it was counted, {ended}"))
    return Atlas(
        vlbench=__version__,
        package=job.package,
        version=opened.version,
        torch=opened.torch,
        profile=job.profile,
        cudnn=job.cudnn,
        dtype=job.dtype,
        grids=job.grids,
        rows=tuple(rows.values()),
        aliases=aliases or {},
        left_out=left_out or {},
        seconds=round(time.monotonic() - start, 1),
    ).with_checksum()


def _one_process(job: AtlasJob, done: Callable[[AtlasRow], None], most_seconds: float) -> tuple[Opened, str | None]:
    """The release, and how the process ended where it did not end well. Raises UsageError where it never opened."""
    opened: Opened | None = None
    limit = 60 + most_seconds * len(job.towers)
    with Child[Any](WORKER, EVENTS, limit, call_limit=most_seconds, name=job.package, is_timed=False) as child:
        child.tell(job)
        try:
            for event in child.until(AtlasFinished):
                match event:
                    case Opened():
                        opened = event
                    case RowCounted(row=row):
                        done(row)
        except ChildError as end:
            if opened is None:
                raise UsageError(f"{job.package} cannot be opened: {end.reason}") from None
            return opened, end.reason
    assert opened is not None
    return opened, None


def _row_of(listed: Listed, failed: str) -> AtlasRow:
    return AtlasRow(name=listed.name, tower=listed.tower, config=listed.config, failed=failed)
