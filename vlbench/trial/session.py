"""From cell groups to records: trials in processes of their own, each finished one kept at once."""

import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from vlbench.errors import UsageError
from vlbench.matrix.plan import Plan
from vlbench.process.child import Child, ChildError
from vlbench.record.journal import Journal
from vlbench.record.schema import CellGroup, Trial
from vlbench.trial.briefly import Checks
from vlbench.trial.job import EVENTS, LAST_CALL, Estimated, Event, Finished, Job, Prepared, job_of
from vlbench.trial.limits import Limits
from vlbench.trial.progress import Progress as Progress, record

COMPILED = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
"""What is compiled is compiled anew: a cache on disk would make the first call look cheap in every trial but one."""
CALL_SHARE = 0.5
"""Of a trial's time: a call that takes longer than that is taken for one that never ends."""
WORTH_SAYING = 5.0
"""Seconds from which on the estimate of a run is told."""
CONFIRMING = 0.5
"""Share of the time that is kept for measuring again what stands out; where nothing does, it is not spent."""
QUICKLY_CONFIRMING = 0.3
"""The same of a quick look on a CPU, whose second process has few rows. On a GPU most stand out."""

Watch = Callable[[Progress], None]
Suspects = Callable[[int, CellGroup], list[str]]
"""By a plan's index and what its trials say: the variants that a vote over them calls changed."""
Run = Callable[[Job, float], Iterator[Event]]


def run_trial(job: Job, timeout: float) -> Iterator[Event]:
    """The events of one trial in a process of its own, as they come; it is ended after `timeout` seconds.

    So it is where one call takes half of that: whoever is called then never ends, or is far too slow.
    Raises UsageError for a job that is refused, ChildError for a process that crashed, hung or ran out of memory.
    """
    limit = timeout * CALL_SHARE
    with Child("vlbench.trial.worker", EVENTS, timeout, call_limit=limit, own_folders=COMPILED) as child:
        child.tell(job)
        yield from child.until(Finished)


@dataclass(frozen=True)
class Asked:
    """A trial as it is wanted."""

    index: int
    """Of its plan."""
    number: int
    seconds: float
    """Of rounds."""
    label: str
    names: Sequence[str] = ()
    """Of the variants; all where it names none."""
    confirms: bool = False

    @property
    def called(self) -> str:
        return f"trial {self.number + 1}"


class Session:
    """Runs trials over plans, and keeps every finished one in the journal."""

    def __init__(
        self,
        plans: Sequence[Plan],
        journal: Journal,
        *,
        limits: Limits,
        watch: Watch = lambda progress: None,
        run: Run = run_trial,
        keep_going: bool = False,
        check_all: bool = False,
    ) -> None:
        """`run` runs one trial within so many seconds.

        With `keep_going`, a plan whose job is refused is recorded as lost and the others go on. For `check_all` see
        `Checks`.
        """
        self.plans = plans
        self.journal = journal
        self.limits = limits
        self.watch = watch
        self._run = run
        self.keep_going = keep_going
        self.checks = Checks(check_all=check_all)
        self.planned: dict[int, int] = {}
        """Trials by plan; where suspects may have to be confirmed, twice as many until they are known."""
        self.refused: set[int] = set()
        """Plans that were refused; they are not tried again."""
        self.died: dict[int, dict[str, str]] = defaultdict(dict)
        """By plan: variants that ended their process, and how. They are not tried again."""
        for number, variant, reason in journal.died:
            self.died[number][variant] = reason
        self.is_complete = True
        """Was there time for all of it?"""
        self._trials = 1
        self._kept = 0.0
        """Share of the time that is kept for confirming."""
        self._end = limits.until
        """When the vote that is going on has to be over."""
        self._needs: dict[tuple[int, bool], float] = {}
        """By plan, and whether checks are brief: the seconds of a trial with the fewest rounds."""
        self._unrun: dict[int, list[str]] = defaultdict(list)
        self._in_flight: dict[int, list[Trial]] = {}

    def run(self, trials: int, seconds: float) -> None:
        """`trials` trials of `seconds` of rounds over every plan in turn, but for what the journal has of them."""
        self._trials = trials
        self.trials_of(
            Asked(index, number, seconds, f"trial {number + 1} of {trials}" if trials > 1 else "")
            for number in range(trials)
            for index in range(len(self.plans))
        )

    def confirm(self, suspects: dict[int, list[str]], trials: int, seconds: float) -> None:
        """The same over each plan's reference tower, its suspects and what their ratio is taken to.

        There are about twice as many rounds as in a trial over all, in less time where suspects are few: the first vote
        asks whether anything changed, the second has to be sure.
        """
        self._trials, self._end = trials, self.limits.until
        asked = []
        for number, (index, names) in product(range(trials, 2 * trials), suspects.items()):
            plan = self.plans[index]
            wanted = _with_references(plan, names)
            share = min(1.0, 2 * len(wanted) / len(plan.variants))
            label = f"confirming, trial {number - trials + 1} of {trials}"
            asked.append(Asked(index, number, seconds * share, label, wanted, confirms=True))
        self.trials_of(asked)

    def trials_of(self, asked: Iterable[Asked], until: float | None = None) -> None:
        """These trials, which share the time to `until`, by default to the end of the vote that is going on."""
        self._end = self._end if until is None else until
        todo = list(asked)
        for done, each in enumerate(todo):
            own = sum(other.index == each.index for other in todo[done:])
            self._trial(each, len(todo) - done, own)

    def vote(self, trials: int, budget: float, suspects: Suspects | None) -> None:
        """Trials over every plan, then as many again over the `suspects`, for which a share of the time is kept.

        `budget` is in seconds of rounds, over all plans and trials. `suspects` is None where nothing can be confirmed,
        for several trials are too few to vote: then all of the time is theirs.
        """
        is_brief = trials == 1 and not any(plan.device == "cuda" for plan in self.plans)
        self._kept = 0.0 if not suspects else QUICKLY_CONFIRMING if is_brief else CONFIRMING
        seconds = budget / max(1, len(self.plans)) / trials * (1 - self._kept)
        self.planned = dict.fromkeys(range(len(self.plans)), 2 * trials if suspects else trials)
        if suspects:
            now = time.monotonic()
            self._end = now + (self.limits.until - now) * (1 - self._kept)
        self.run(trials, seconds)
        if suspects:
            found = {index: suspects(index, group) for index, group in enumerate(self.groups())}
            self.planned = {index: 2 * trials if names else trials for index, names in found.items()}
            self.confirm({index: names for index, names in found.items() if names}, trials, seconds)

    def groups(self) -> list[CellGroup]:
        """What there is so far, plans without any finished trial included; of an interrupted one what came."""
        return [
            plan.group(
                [*self.journal.trials(index), *self._in_flight.get(index, ())],
                [*self.journal.lost(index), *self._unrun[index]],
                self.planned.get(index),
            )
            for index, plan in enumerate(self.plans)
        ]

    def _left(self, names: Sequence[str], one: Trial, trials: Iterable[Trial]) -> list[str]:
        """Those of these rows that this trial, and those that went on with it, had no time for, or did not ask for."""
        same = [trial for trial in trials if (trial.number - one.number) % (2 * self._trials) == 0]
        done = {each.name for trial in same for each in trial.variants if not each.left}
        return [name for name in names if name not in done]

    def _trial(self, asked: Asked, remaining: int, own: int) -> None:
        """One of so many trials, `own` of them of its plan, in as many processes as it takes, or the rest of it."""
        index, number = asked.index, asked.number
        if index in self.refused:
            return
        plan, died = self.plans[index], self.died[index]
        names = list(asked.names or (variant.name for variant in plan.variants))
        if first := self.journal.find(index, number):
            if not (left := self._left(names, first, self.journal.trials(index))):
                return
            names = _with_references(plan, left)
            while self.journal.find(index, number):
                number += 2 * self._trials
        while True:
            alive: Sequence[str] = [name for name in names if name not in died]
            start = time.monotonic()
            allowed = min(self.limits.timeout, self._end - start)
            alive, briefly = self.checks.rows(index, alive)
            if allowed <= self._needs.get((index, briefly), 0.0) * len(alive) / len(plan.variants):
                self._unrun[index].append(f"{asked.called}: {self._why(allowed)}")
                self.is_complete = False
                return
            further = self.checks.further(index, own)
            share = start + (self._end - start) * (1 + further) / remaining
            job = job_of(plan, number, asked.seconds, alive)
            update = {"secret": secrets.randbits(60), "briefly": briefly, "further": further}
            job = job.model_copy(update=update | _times(start, allowed, share))
            progress = Progress(plan, job, asked.label)
            try:
                self._follow(progress, index, start, allowed, asked)
            except ChildError as error:
                if error.called and error.seconds > LAST_CALL:
                    progress.cut = f"the call of {error.called} that was under way had taken {error.seconds:.0f} s"
                if not error.late:
                    if error.called is None or error.called == plan.reference or error.called not in alive:
                        self.journal.add_lost(index, asked.number, f"{asked.called}: {error.reason}")
                        return
                    died[error.called] = error.reason
                    self.journal.add_died(index, error.called, error.reason)
                    if not progress.has_rounds:
                        continue
            except KeyboardInterrupt:
                if progress.is_worth_keeping:
                    why = f"interrupted{self.limits.remedy}"
                    self._in_flight[index] = [record(progress, number, names, died, asked.confirms, why)]
                raise
            except UsageError as error:
                if not self.keep_going:
                    raise
                self.refused.add(index)
                self.planned.pop(index, None)
                self.journal.add_lost(index, asked.number, str(error))
                return
            self._keep(progress, number, names, asked, allowed)
            return

    def _follow(self, progress: Progress, index: int, start: float, allowed: float, asked: Asked) -> None:
        """Run the trial and note what it says."""
        begun = 0.0
        for event in self._run(progress.job, allowed):
            progress.take(event)
            job, since = progress.job, time.monotonic() - start
            self.checks.note(index, progress, event)
            begun = since if isinstance(event, Prepared) else begun
            if isinstance(event, Estimated) and (index, False) not in self._needs:
                further = event.seconds if self.checks.check_all else event.again
                rows = event.seconds + further * (self._trials - 1)
                progress.needs = (begun * self._trials + rows) / (1 - self._kept)
                progress.told = self._words(event, len(job.variants), allowed, rows, progress.needs)
            if progress.has_rounds:
                self._needs.setdefault((index, job.briefly), since)
            self.watch(progress)

    def _keep(self, progress: Progress, number: int, names: list[str], asked: Asked, allowed: float) -> None:
        """Put what came into the journal."""
        why = self._why(allowed, progress)
        if not progress.is_worth_keeping:
            self._unrun[asked.index].append("; ".join(filter(None, (f"{asked.called}: {why}", progress.cut))))
            self.is_complete = False
            return
        self.checks.end(asked.index, progress, names)
        trial = record(progress, number, names, self.died[asked.index], asked.confirms, why)
        self.is_complete = self.is_complete and not any(each.left for each in trial.variants)
        self.journal.add_trial(asked.index, trial)

    def _why(self, allowed: float, progress: Progress | None = None) -> str:
        """Why something was left, and what measures it: where no row was timed, going on would begin anew."""
        kept = [trial for index in range(len(self.plans)) for trial in self.journal.trials(index)]
        begun = any(not each.left for trial in kept for each in trial.variants)
        if progress is None:
            return self.limits.why(allowed, begun=begun)
        return self.limits.why(allowed, begun=begun or bool(progress.rounds), needs=progress.needs)

    def _words(self, estimate: Estimated, rows: int, allowed: float, seconds: float, needs: float) -> str:
        """The estimate of all trials of a plan; "" where it is not worth a line.

        Where rows are left, with all that the budget would have to hold: the beginning of each process, and confirming.
        """
        left = rows - estimate.fitting
        whole = needs if left else seconds
        if whole < WORTH_SAYING and not left:
            return ""
        said = f"about {whole:.0f} s for {rows} rows" + (f" in {self._trials} trials" if self._trials > 1 else "")
        goes_on = " for --resume" if "--resume" in self.limits.remedy else ""
        return f"{said}; the last {left} cannot fit in {self.limits.named(allowed)}: left{goes_on}" if left else said


def _times(start: float, allowed: float, share: float) -> dict[str, float]:
    """When a job is to be over: a little before its process is ended from here."""
    until = start + allowed - min(LAST_CALL, allowed / 10)
    return {"until": until, "by": min(until, share)}


def _with_references(plan: Plan, names: Sequence[str]) -> list[str]:
    """These rows, what their ratio is taken to, and the reference tower."""
    references = [variant.reference for variant in plan.variants if variant.name in names]
    return list(dict.fromkeys([plan.reference, *references, *names]))
