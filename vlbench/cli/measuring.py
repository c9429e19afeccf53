"""Running plans: trials, then once more over the suspects, and the results of it all."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vlbench.matrix.plan import Plan
    from vlbench.record.fingerprint import Fingerprint
    from vlbench.record.machine_card import MachineCard
    from vlbench.record.schema import Results
    from vlbench.trial.session import Session


INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells give it."""


def measure(
    plans: list[Plan], trials: int, budget: float, timeout: float, goal: Path, resume: bool, fingerprint: Fingerprint
) -> tuple[Session, bool]:
    """Run the trials, then once more over the suspects; was it all done, or was it interrupted?"""
    from rich.console import Console

    from vlbench.export.progress import Watcher
    from vlbench.judging.summary import suspects
    from vlbench.judging.verdict import Floors
    from vlbench.record.journal import Journal
    from vlbench.trial.session import Session

    journal = Journal(goal.with_suffix(".journal.jsonl"), _name_of(plans, trials, budget, fingerprint), resume=resume)
    votes = trials >= Floors().k
    with Watcher(Console(stderr=True)) as watcher:
        session = Session(plans, journal, timeout=timeout, watch=watcher)
        try:
            session.vote(trials, budget, (lambda index, group: suspects(group, Floors())) if votes else None)
        except KeyboardInterrupt:
            return session, False
    return session, True


def _name_of(plans: list[Plan], trials: int, budget: float, fingerprint: Fingerprint) -> str:
    """What a journal is the journal of: the same jobs, as often, as long, of the same software."""
    from hashlib import sha256

    from vlbench.trial.job import job_of

    jobs = [job_of(plan, trials, budget).model_dump_json() for plan in plans]
    return sha256("\n".join([fingerprint.line, *jobs]).encode()).hexdigest()


def keep(
    session: Session, goal: Path, fingerprint: Fingerprint, machine: MachineCard | None, complete: bool
) -> Results:
    """Write what was measured; the journal stays only where there is something to go on with."""
    from datetime import UTC, datetime

    from vlbench.record.files import write_results
    from vlbench.record.schema import Results

    results = Results.model_validate(
        {
            "created": datetime.now(UTC),
            "command": " ".join(["vlbench", *sys.argv[1:]]),
            "fingerprint": fingerprint,
            "machine": machine,
            "groups": session.groups(),
            "complete": complete,
        }
    )
    write_results(results, goal)
    if complete:
        session.journal.remove()
    return results
