"""What the markers of a session count: each job in a process of its own, and once."""

from __future__ import annotations

import pytest

from vlbench.api.arguments import argument_words
from vlbench.api.counts import DTYPE, count_job, counted
from vlbench.counting.job import CountJob
from vlbench.errors import UsageError
from vlbench.pytest_plugin.marks import Mark
from vlbench.record.counted import CountReport

_REPORTS = pytest.StashKey[dict[CountJob, CountReport]]()


def count(config: pytest.Config, mark: Mark) -> CountReport:
    """The count of a mark's tower. Raises UsageError for what cannot be had as asked."""
    assert mark.tower is not None
    reports = config.stash.setdefault(_REPORTS, {})
    try:
        job = count_job(mark.tower, [], mark.scenario, list(mark.grids), mark.profile, mark.dtype or DTYPE)
        if job not in reports:
            reports[job] = counted(job)
    except UsageError as error:
        raise UsageError(argument_words(str(error))) from None
    return reports[job]
