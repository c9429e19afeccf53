"""Runs a counting job in a process of its own and puts together what it says."""

from __future__ import annotations

import subprocess
import sys

import vlbench
from vlbench.counting.job import EVENTS, Counted, CountJob, Finished, Planned, Refused
from vlbench.errors import UsageError
from vlbench.record.counted import CountedTower, CountGroup, CountReport
from vlbench.trial.ending import ending


def run_count(job: CountJob, timeout: float = 900) -> CountReport:
    """The report of `job`; a row during which the process ended says so. Raises UsageError for a refused job."""
    planned: tuple[str, ...] = ()
    counted: dict[tuple[int, str], CountedTower] = {}
    finished: Finished | None = None
    try:
        done = subprocess.run(
            [sys.executable, "-m", "vlbench.counting.worker"],
            input=job.model_dump_json(),
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        raise UsageError(f"counting did not end within {timeout:.0f} s; count fewer towers or a smaller grid") from None
    whole, _, _ = done.stdout.rpartition("\n")  # the last line may be cut off by its end
    for line in whole.splitlines():
        match EVENTS.validate_json(line):
            case Refused(message=message):
                raise UsageError(message)
            case Planned(rows=rows):
                planned = rows
            case Counted(point=point, row=row):
                counted[point, row.name] = row
            case Finished() as last:
                finished = last
    if not planned:
        raise RuntimeError(f"the counting process said nothing: {ending(done.returncode, done.stderr)}")
    reason = "" if finished else ending(done.returncode, done.stderr)
    return CountReport(
        vlbench=vlbench.__version__,
        profile=job.profile,
        dtype=job.dtype,
        groups=tuple(
            CountGroup(
                scenario=point.scenario,
                point=point.label,
                grids=point.grids,
                towers=tuple(
                    counted.get((index, name)) or CountedTower(name=name, tower=name, failed=reason) for name in planned
                ),
            )
            for index, point in enumerate(job.points)
        ),
        seconds=finished.seconds if finished else 0,
        peak_host_bytes=finished.peak_host_bytes if finished else 0,
    )
