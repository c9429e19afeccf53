"""What the markers of a session count: each job in a process of its own, and once."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from vlbench.cli.count import points_of
from vlbench.cli.options import find_dtype
from vlbench.counting.job import CountJob
from vlbench.counting.run import run_count
from vlbench.errors import UsageError
from vlbench.pytest_plugin.marks import Mark
from vlbench.record.counted import CountReport

DTYPE, PROFILE = "bfloat16", "sm_90"


@dataclass(frozen=True)
class Counts:
    """Reports by the job that asked for them."""

    _reports: dict[CountJob, CountReport] = field(default_factory=dict)

    def of(self, job: CountJob) -> CountReport:
        if job not in self._reports:
            self._reports[job] = run_count(job)
        return self._reports[job]


_COUNTS = pytest.StashKey[Counts]()


def count(config: pytest.Config, mark: Mark) -> CountReport:
    """The count of a mark's tower. Raises UsageError for what cannot be had as asked."""
    assert mark.tower is not None
    try:
        job = CountJob(
            towers=(mark.tower,),
            variants=(),
            points=tuple(points_of(mark.scenario, list(mark.grids))),
            profile=mark.profile or PROFILE,
            dtype=find_dtype(mark.dtype or DTYPE),
        )
        return config.stash.setdefault(_COUNTS, Counts()).of(job)
    except UsageError as error:
        raise UsageError(str(error).replace("--", "")) from None  # the arguments have the names of the options
    except RuntimeError as error:  # the process ended before it began to count: a tower's module can do that
        raise UsageError(f"tower {mark.tower!r}: {error}") from None
