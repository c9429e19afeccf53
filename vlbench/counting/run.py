"""Runs a counting job in a process of its own and puts together what it says."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from vlbench.counting.job import EVENTS, Counted, CountJob, Finished, Planned, Refused
from vlbench.errors import UsageError
from vlbench.process.environment import environment_elsewhere
from vlbench.process.exit_reason import ending
from vlbench.record.counted import CountedTower, CountGroup, CountReport
from vlbench.version import __version__


@dataclass
class Ran:
    """What a counting process said before it ended."""

    planned: tuple[str, ...] = ()
    """Names of the rows that were to come, on each point in turn; empty where it did not get that far."""
    counted: dict[tuple[int, str], CountedTower] = field(default_factory=dict)
    """By index of the point and name of the row."""
    finished: Finished | None = None
    ending: str = ""
    """Where it did not finish: how it ended."""


def run_job(job: CountJob, timeout: float = 900, folder: Path | None = None) -> Ran:
    """Count `job` in a process of its own, for `timeout` seconds at most. Raises UsageError for a refused job.

    The process starts in `folder`, or here; it imports nothing from a `folder` unless the job says so.
    """
    try:
        done = subprocess.run(
            [sys.executable, *(["-P"] if folder else []), "-m", "vlbench.counting.worker"],
            cwd=folder,
            env=environment_elsewhere() if folder else None,
            input=job.model_dump_json(),
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as late:
        said = late.stdout.decode() if isinstance(late.stdout, bytes) else late.stdout or ""
        sentence = f"counting did not end within {timeout:.0f} s; count fewer towers or a smaller grid"
        ran = _heard(said, sentence)
        if not ran.planned:
            raise UsageError(sentence) from None
        return ran
    return _heard(done.stdout, ending(done.returncode, done.stderr))


def run_count(job: CountJob, timeout: float = 900) -> CountReport:
    """The report of `job`; a row during which the process ended says so. Raises UsageError for a refused job."""
    ran = run_job(job, timeout)
    if not ran.planned:
        raise RuntimeError(f"the counting process said nothing: {ran.ending}")
    return CountReport(
        vlbench=__version__,
        profile=job.profile,
        dtype=job.dtype,
        groups=tuple(
            CountGroup(
                scenario=point.scenario,
                point=point.label,
                grids=point.grids,
                towers=tuple(
                    ran.counted.get((index, name)) or CountedTower(name=name, tower=name, failed=ran.ending)
                    for name in ran.planned
                ),
            )
            for index, point in enumerate(job.points)
        ),
        seconds=ran.finished.seconds if ran.finished else 0,
        peak_host_bytes=ran.finished.peak_host_bytes if ran.finished else 0,
    )


def _heard(said: str, end: str) -> Ran:
    ran = Ran()
    whole, _, _ = said.rpartition("\n")  # the last line may be cut off by the end of the process
    for line in whole.splitlines():
        match EVENTS.validate_json(line):
            case Refused(message=message):
                raise UsageError(message)
            case Planned(rows=rows):
                ran.planned = rows
            case Counted(point=point, row=row):
                ran.counted[point, row.name] = row
            case Finished() as last:
                ran.finished = last
    if ran.finished is None:
        ran.ending = end
    return ran
