"""What a marked test is held to: the limits of its markers, and the baselines that they name."""

from __future__ import annotations

import pytest

from vlbench.errors import UsageError
from vlbench.pytest_plugin import limits
from vlbench.pytest_plugin.counts import count
from vlbench.pytest_plugin.marks import marks_of
from vlbench.record.counted import CountReport


def gate(item: pytest.Item) -> str:
    """Why the test fails, a paragraph for each cell that makes it fail; "" where none does."""
    try:
        found = [
            complaint
            for mark in marks_of(item)
            if mark.tower
            for complaint in limits.complaints(mark, count(item.config, mark))
        ]
    except UsageError as error:
        return str(error)
    return "\n\n".join(found)


def counts_of(item: pytest.Item) -> tuple[CountReport, ...]:
    """The reports of all markers that name a tower. Raises UsageError where none does."""
    marks = [mark for mark in marks_of(item) if mark.tower]
    if not marks:
        raise UsageError(f"{item.nodeid}: vlbench_counts shows what a marker counts; add one with tower=...")
    return tuple(count(item.config, mark) for mark in marks)
