"""What a marked test is held to: the limits of its markers, and the baselines that they name."""

from collections.abc import Iterator

import pytest

from vlbench.api.arguments import argument_words
from vlbench.api.counts import counted, mark_job
from vlbench.api.defaults import defaults
from vlbench.counting.job import CountJob
from vlbench.errors import UsageError
from vlbench.gating.marks import Mark, marks_of
from vlbench.pytest_plugin import at_root, limits, stored
from vlbench.pytest_plugin.judged import JUDGED
from vlbench.record.counted import CountReport

_REPORTS = pytest.StashKey[dict[CountJob, CountReport]]()


def gate(item: pytest.Item) -> str:
    """Why the test fails, a paragraph for each cell that makes it; "" where none does. Raises UsageError."""
    found = "\n\n".join(complaint for mark in marks_of(item) for complaint in _complaints(item, mark))
    item.stash[JUDGED] = True
    return found


def counts_of(item: pytest.Item) -> tuple[CountReport, ...]:
    """The reports of all marks with a tower. Raises UsageError where there are none."""
    marks = [mark for mark in marks_of(item) if mark.tower] if item.get_closest_marker("vlbench") else []
    if not marks:
        raise UsageError(f"{item.nodeid}: vlbench_counts shows what a marker counts; add one with tower=...")
    with at_root(item.config):
        return tuple(_count(item.config, mark) for mark in marks)


def _complaints(item: pytest.Item, mark: Mark) -> Iterator[str]:
    if mark.tower and (mark.limits or not mark.baseline):
        with at_root(item.config):
            yield from limits.complaints(mark, _count(item.config, mark))
    if mark.baseline:
        with at_root(item.config, stored.folder_of(item, mark.baseline)):
            yield from stored.complaints(item, mark)


def _count(config: pytest.Config, mark: Mark) -> CountReport:
    """The count of a mark's tower, in a process of its own and once in a session. Raises UsageError."""
    reports = config.stash.setdefault(_REPORTS, {})
    try:
        job = mark_job(mark, defaults())
        if job not in reports:
            reports[job] = counted(job)
    except UsageError as error:
        raise UsageError(argument_words(str(error))) from None
    return reports[job]
