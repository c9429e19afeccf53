"""What the markers of a session count: each job in a process of its own, and once."""

from __future__ import annotations

import pytest

from vlbench.cli.count import points_of
from vlbench.cli.options import find_dtype
from vlbench.counting.job import CountJob
from vlbench.counting.run import run_count
from vlbench.errors import UsageError
from vlbench.pytest_plugin.marks import Mark
from vlbench.record.counted import CountReport

DTYPE, PROFILE = "bfloat16", "sm_90"
_REPORTS = pytest.StashKey[dict[CountJob, CountReport]]()


def count(config: pytest.Config, mark: Mark) -> CountReport:
    """The count of a mark's tower. Raises UsageError for what cannot be had as asked."""
    assert mark.tower is not None
    reports = config.stash.setdefault(_REPORTS, {})
    try:
        job = CountJob(
            towers=(mark.tower,),
            variants=(),
            points=tuple(points_of(mark.scenario, list(mark.grids))),
            profile=mark.profile or PROFILE,
            dtype=find_dtype(mark.dtype or DTYPE),
        )
        if job not in reports:
            reports[job] = run_count(job)
    except UsageError as error:
        raise UsageError(str(error).replace("--", "")) from None  # the arguments have the names of the options
    except RuntimeError as error:  # the process ended before it began to count: a tower's module can do that
        raise UsageError(f"tower {mark.tower!r}: {error}") from None
    return reports[job]
