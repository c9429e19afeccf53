"""Starts a process for each rank on this machine and watches them: where one fails, all end."""

from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, wait
from pathlib import Path

from vlbench.distributed.job import EVENTS, Done, Failed, RankEvent, RankJob, RankReport
from vlbench.errors import UsageError
from vlbench.implementations.parallel.balance import RankError
from vlbench.process.child import Child, ChildError, waiting_threads
from vlbench.process.scratch import Scratch

WORKER = "vlbench.distributed.rank"
GRACE = 1.0
"""Seconds in which a rank that was lost is heard of, where others were the first to complain of it."""
BUILDING = 600.0
"""Seconds for a rank to make its tower and its batch, and to be checked."""


def launch(job: RankJob, said: Callable[[int, RankEvent], None] = lambda pid, event: None) -> RankReport:
    """Run all ranks of a job. `said` is told what each says, and the id of its process, from threads.

    Raises UsageError for what is refused, and RankError where a rank ends or waits in vain.
    """
    children: list[Child[RankEvent]] = []

    def one(rank: int, store: str) -> RankReport | None:
        report = None
        own = job.model_copy(update={"rank": rank, "store": store})
        seconds = BUILDING + 3 * job.timeout
        with Child(WORKER, EVENTS, seconds, name=f"rank {rank} of {job.ranks}", is_timed=False) as child:
            children.append(child)
            child.tell(own)
            for event in child.until(Done):
                said(child.pid, event)
                if isinstance(event, Failed):
                    raise RankError(event.message)
                report = event if isinstance(event, RankReport) else report
        return report

    with Scratch() as folder, waiting_threads(job.ranks) as threads:
        ranks = [threads.submit(one, rank, str(Path(folder) / "store")) for rank in range(job.ranks)]
        wait(ranks, return_when=FIRST_EXCEPTION)
        if any(each.done() and each.exception() for each in ranks):
            wait(ranks, timeout=GRACE)
        found = [each.exception() for each in ranks if each.done()]
        for child in children:
            child.kill()
    for kind in (UsageError, ChildError, RankError, Exception):  # the cause before those that it left waiting
        for error in (each for each in found if isinstance(each, kind)):
            if isinstance(error, ChildError):
                raise RankError(f"{error.called}: {error.reason}; all other ranks were ended") from None
            raise error
    return next(report for each in ranks if (report := each.result()) is not None)
