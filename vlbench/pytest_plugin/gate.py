"""What a marked test is held to: the limits of its markers, and the baselines that they name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vlbench.errors import UsageError
from vlbench.pytest_plugin import limits, stored
from vlbench.pytest_plugin.counts import count
from vlbench.pytest_plugin.marks import Mark, marks_of
from vlbench.pytest_plugin.places import at_root
from vlbench.record.counted import CountReport


def gate(item: pytest.Item) -> str:
    """Why the test fails, a paragraph for each cell that makes it; "" where none does. Raises UsageError."""
    with at_root(item.config):
        return "\n\n".join(complaint for mark in marks_of(item) for complaint in _complaints(item.config, mark))


def counts_of(item: pytest.Item) -> tuple[CountReport, ...]:
    """The reports of all marks with a tower. Raises UsageError where there are none."""
    marks = [mark for mark in marks_of(item) if mark.tower] if item.get_closest_marker("vlbench") else []
    if not marks:
        raise UsageError(f"{item.nodeid}: vlbench_counts shows what a marker counts; add one with tower=...")
    with at_root(item.config):
        return tuple(count(item.config, mark) for mark in marks)


def _complaints(config: pytest.Config, mark: Mark) -> Iterator[str]:
    if mark.tower and (mark.limits or not mark.baseline):
        yield from limits.complaints(mark, count(config, mark))
    if mark.baseline:
        yield from stored.complaints(config, mark)
