"""Runs a trial in a process of its own, and survives it."""

from __future__ import annotations

from collections.abc import Iterator

from vlbench.process.child import Child
from vlbench.trial.job import EVENTS, Event, Finished, Job

CACHE = "TORCHINDUCTOR_CACHE_DIR"
"""What is compiled is compiled anew: a cache on disk would make the first call look cheap in every trial but one."""


def run_trial(job: Job, timeout: float) -> Iterator[Event]:
    """The events of one trial, as they come; the process is ended after `timeout` seconds.

    Raises UsageError for a job that is refused, ChildError for a process that crashed, hung or ran out of memory.
    """
    with Child("vlbench.trial.worker", EVENTS, timeout, own_folders=(CACHE,)) as child:
        child.tell(job)
        yield from child.until(Finished)
