"""What the markers of a test have counted, each count once in a session."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vlbench.cli.count import points_of
from vlbench.cli.options import find_dtype
from vlbench.counting.job import CountJob
from vlbench.counting.run import run_count
from vlbench.errors import UsageError
from vlbench.pytest_plugin.marks import Mark
from vlbench.pytest_plugin.places import importable, in_root
from vlbench.record.counted import CountReport

DTYPE, PROFILE = "bfloat16", "sm_90"


@dataclass
class Counted:
    """Reports by the job that asked for them."""

    reports: dict[CountJob, CountReport] = field(default_factory=dict)

    def report(self, job: CountJob) -> CountReport:
        if job not in self.reports:
            self.reports[job] = run_count(job)
        return self.reports[job]


_COUNTED = pytest.StashKey[Counted]()


def count(config: pytest.Config, mark: Mark) -> CountReport:
    """The count of a mark's tower, in a process of its own. Raises UsageError for what cannot be had as asked."""
    counted = config.stash.setdefault(_COUNTED, Counted())
    try:
        with importable(config):
            return counted.report(_job(mark, config.rootpath))
    except UsageError as error:  # the arguments have the names of the options
        raise UsageError(str(error).replace("--", "")) from None
    except RuntimeError as error:  # the process ended before it began to count, as a tower's module can make it
        raise UsageError(f"tower {mark.tower!r}: {error}") from None


def _job(mark: Mark, root: Path) -> CountJob:
    assert mark.tower is not None
    return CountJob(
        towers=(mark.tower,),
        variants=(),
        points=tuple(points_of(mark.scenario and in_root(mark.scenario, root), list(mark.grids))),
        profile=mark.profile or PROFILE,
        dtype=find_dtype(mark.dtype or DTYPE),
    )
