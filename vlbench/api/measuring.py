"""Plans become trials, trials become records; an interruption keeps what is done."""

import json
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from vlbench.errors import UsageError
from vlbench.export.progress import Shown, doing, watcher
from vlbench.judging.quick import family_confidence
from vlbench.judging.summary import suspects
from vlbench.judging.verdict import Floors
from vlbench.matrix.plan import Plan
from vlbench.record.at_scale import AtScale
from vlbench.record.destinations import reserved
from vlbench.record.files import write_results
from vlbench.record.fingerprint import Fingerprint
from vlbench.record.journal import Journal
from vlbench.record.schema import Results
from vlbench.trial.job import Event, Job, job_of
from vlbench.trial.limits import Limits, end_of
from vlbench.trial.machine import machine_of
from vlbench.trial.session import Session, run_trial


@dataclass(frozen=True)
class Effort:
    """How long is measured, and where it is kept."""

    trials: int = 1
    budget: float = 60.0
    """Seconds for all of it: the machine's card, checks, rounds and stages of every trial, and confirming."""
    timeout: float = 900.0
    """Seconds after which one trial ends with what it has."""
    out: Path | None = None
    """A results file, with a journal beside it while it goes on."""
    resume: bool = False
    force: bool = False
    """May `out` replace a file that is there?"""
    card: bool = True
    """Is the machine itself measured, too?"""
    isolate: bool = False
    """Has each tower a process of its own, in which nothing is that it is compared with?"""
    whole: float | None = None
    """Seconds of the budget that the user gave, where this is a share of it."""
    again: bool = True
    """Is what stands out measured a second time?"""
    rounds: float | None = None
    """In place of the budget: seconds of rounds alone, half of them for confirming where there are trials to vote."""
    shard: str = ""
    """Which part of which plan it is, and where: what is gone on with has to be the same."""

    def limits(self, start: float, *, whole: bool = False) -> Limits:
        """What bounds trials of a run that began at `start`, by `time.monotonic()`; over pictures as a `whole`?"""
        until = end_of(start, self.budget) if self.rounds is None else math.inf
        remedy = "; `--resume` measures it" if self.out else ""
        anew = "give a larger `--budget`" + (", `--scenario-sizes` or smaller pictures" if whole else "")
        return Limits(self.timeout, until, f"--budget {self.whole or self.budget:g}s", remedy, anew)


Counting = tuple[str, Callable[[Callable[[int, int], None]], Mapping[int, AtScale]]]
"""Words, and what is told of steps and gives counts at scale by the index of their plan."""
Also = Callable[[Sequence[Collection[str]]], Counting | None]
"""What counts the rows of these names, for each plan; None where there are none."""


class Outcome(NamedTuple):
    """What a run gave, and whether a signal ended it."""

    results: Results
    interrupted: bool


def measure(
    plans: Sequence[Plan],
    effort: Effort,
    command: str,
    progress: Shown = True,
    also: Also | None = None,
    finish: Callable[[Results], Results] = lambda results: results,
) -> Outcome:
    """Run the trials, then once more over the suspects, and keep the results; incomplete where time was lacking.

    At last `also` counts the rows that were measured; `finish` adds to results before they are kept. Raises
    UsageError where results could not be written, before anything is measured.
    """
    plans = as_measured(plans, effort.trials)
    start, out = time.monotonic(), effort.out
    if out is None and effort.resume:
        raise UsageError("--resume goes on from the journal beside --out; name that file")
    with ExitStack() as stack:
        journal = stack.enter_context(reserved(out, resume=effort.resume, force=effort.force)) if out else None
        return _measure(plans, effort, journal, start, command, progress, also, finish)


def as_measured(plans: Sequence[Plan], trials: int) -> list[Plan]:
    """The plans with the confidence that so many trials ask for: a quick look is right of all rows together."""
    if trials > 1:
        return list(plans)
    return [replace(plan, confidence=family_confidence(len(plan.variants) - 1)) for plan in plans]


def _measure(
    plans: Sequence[Plan],
    effort: Effort,
    journal: Path | None,
    start: float,
    command: str,
    progress: Shown,
    also: Also | None,
    finish: Callable[[Results], Results],
) -> Outcome:
    fingerprint, card = machine_of(plans[0].device, card=effort.card)
    kept = Journal(journal, _name_of(plans, effort, fingerprint), resume=effort.resume)
    machine, interrupted = None, False
    with watcher(progress) as watch:
        whole = any(plan.images and getattr(plan.point, "whole", False) for plan in plans)
        run = _apart if effort.isolate else run_trial
        limits = effort.limits(start, whole=whole)
        session = Session(plans, kept, limits=limits, watch=watch, run=run, check_all=effort.isolate)
        try:
            machine = card()
            _vote(session, effort)
        except KeyboardInterrupt:
            interrupted = True
    at_scale: Mapping[int, AtScale] = {}
    counting = None if also is None or interrupted else also([group.measured for group in session.groups()])
    if counting:
        try:
            with doing(counting[0], progress) as watch:
                at_scale = counting[1](watch.steps)
        except KeyboardInterrupt:
            interrupted = True
    complete = session.is_complete and not interrupted
    results = Results(
        created=datetime.now(UTC),
        command=command,
        fingerprint=fingerprint,
        machine=machine,
        groups=tuple(
            group.model_copy(update={"at_scale": at_scale.get(index)}) for index, group in enumerate(session.groups())
        ),
        complete=complete,
    )
    results = finish(results).with_checksum()
    if effort.out:
        write_results(results, effort.out, "; --resume writes what was measured")
    if complete:
        kept.remove()
    else:
        kept.begin()
    return Outcome(results, interrupted)


def _apart(job: Job, timeout: float) -> Iterator[Event]:
    from vlbench.revisions.isolated import run_apart  # which imports torch

    return run_apart(job, timeout)


def _vote(session: Session, effort: Effort) -> None:
    """All of it; what stands out is measured again where the trials can vote, and after a quick look."""
    floors = Floors()
    votes = effort.again and (effort.trials >= floors.k or effort.trials == 1)
    seconds = effort.budget if effort.rounds is None else effort.rounds
    session.vote(effort.trials, seconds, (lambda index, group: suspects(group, floors)) if votes else None)


OPTIONS = {"point": "--scenario", "variants": "--with", "states": "--state"}
"""What sets a part of a job, where that has another name."""


def _name_of(plans: Sequence[Plan], effort: Effort, fingerprint: Fingerprint) -> str:
    """What a journal is the journal of, a line each: the software, how often, and all that jobs are given."""
    lines = [f"software: {fingerprint.line}", f"--trials: {effort.trials}", f"rounds: {effort.rounds}"]
    lines += ["--isolate"] if effort.isolate else []
    lines += [f"--shard: {effort.shard}"] if effort.shard else []
    for plan in plans:
        given = job_of(plan, 0, 0.0).model_dump(mode="json")
        lines += [f"{OPTIONS.get(name, f'--{name}')}: {json.dumps(value)}" for name, value in given.items()]
    return "\n".join(lines)
