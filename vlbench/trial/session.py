"""From cell groups to records: trials in processes of their own, each finished one kept at once."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from vlbench.errors import UsageError
from vlbench.matrix.plan import Plan
from vlbench.process.child import Child, ChildError
from vlbench.record.journal import Journal
from vlbench.record.schema import CellGroup, State, Timing, Trial, VariantTrial
from vlbench.trial.job import EVENTS, Checked, Event, Finished, Job, Prepared, Round, Stages, Struck, job_of

INDUCTOR_CACHE = "TORCHINDUCTOR_CACHE_DIR"
"""What is compiled is compiled anew: a cache on disk would make the first call look cheap in every trial but one."""


@dataclass
class Progress:
    """What the running trial has shown so far."""

    plan: Plan
    job: Job
    trial: str
    """Which one it is, in words; empty where there is only one."""
    prepared: Prepared | None = None
    checked: dict[str, Checked] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)
    struck: dict[str, str] = field(default_factory=dict)
    stages: dict[str, Stages] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """Note what the trial said."""
        match event:
            case Prepared():
                self.prepared = event
            case Checked():
                self.checked[event.variant] = event
            case Round():
                self.rounds.append(event)
            case Struck():
                self.struck[event.variant] = event.reason
            case Stages():
                self.stages[event.variant] = event


Watch = Callable[[Progress], None]
Suspects = Callable[[int, CellGroup], list[str]]
"""By a plan's index and what its trials say: the variants that a vote over them calls changed."""
Run = Callable[[Job, float], Iterator[Event]]


def run_trial(job: Job, timeout: float) -> Iterator[Event]:
    """The events of one trial in a process of its own, as they come; it is ended after `timeout` seconds.

    Raises UsageError for a job that is refused, ChildError for a process that crashed, hung or ran out of memory.
    """
    with Child("vlbench.trial.worker", EVENTS, timeout, own_folders=(INDUCTOR_CACHE,)) as child:
        child.tell(job)
        yield from child.until(Finished)


class Session:
    """Runs trials over plans, and keeps every finished one in the journal."""

    def __init__(
        self,
        plans: Sequence[Plan],
        journal: Journal,
        *,
        timeout: float,
        watch: Watch = lambda progress: None,
        run: Run = run_trial,
        keep_going: bool = False,
    ) -> None:
        """`run` runs one trial within `timeout` seconds.

        With `keep_going`, a plan whose job is refused is recorded as lost and the others go on.
        """
        self.plans = plans
        self.journal = journal
        self.timeout = timeout
        self.watch = watch
        self._run = run
        self.keep_going = keep_going
        self.refused: set[int] = set()
        """Plans that were refused; they are not tried again."""
        self.died: dict[int, dict[str, str]] = defaultdict(dict)
        """By plan: variants that ended their process, and how. They are not tried again."""
        for number, variant, reason in journal.died:
            self.died[number][variant] = reason

    def run(self, trials: int, seconds: float) -> None:
        """`trials` trials of `seconds` of rounds over every plan in turn, but for those in the journal."""
        for number in range(trials):
            for index, plan in enumerate(self.plans):
                label = f"trial {number + 1} of {trials}" if trials > 1 else ""
                self._trial(index, number, seconds, [variant.name for variant in plan.variants], label, confirms=False)

    def confirm(self, suspects: dict[int, list[str]], trials: int, seconds: float) -> None:
        """The same over each plan's reference tower, its suspects and what their ratio is taken to.

        There are about twice as many rounds as in a trial over all, in less time where suspects are few: the first vote
        asks whether anything changed, the second has to be sure.
        """
        for number in range(trials, 2 * trials):
            for index, names in suspects.items():
                label = f"confirming, trial {number - trials + 1} of {trials}"
                plan = self.plans[index]
                references = [variant.reference for variant in plan.variants if variant.name in names]
                wanted = list(dict.fromkeys([plan.yardstick, *references, *names]))
                share = min(1.0, 2 * len(wanted) / len(plan.variants))
                self._trial(index, number, seconds * share, wanted, label, confirms=True)

    def vote(self, trials: int, budget: float, suspects: Suspects | None) -> None:
        """Trials over every plan, then as many again over the `suspects`, for which half of the time is set aside.

        `budget` is in seconds of rounds, over all plans and trials. `suspects` is None where the trials are too few to
        vote: then nothing is confirmed, and all of the time is theirs.
        """
        seconds = budget / max(1, len(self.plans)) / trials / (2 if suspects else 1)
        self.run(trials, seconds)
        if suspects:
            found = {index: suspects(index, group) for index, group in enumerate(self.groups())}
            self.confirm({index: names for index, names in found.items() if names}, trials, seconds)

    def groups(self) -> list[CellGroup]:
        """What there is so far, plans without any finished trial included."""
        return [
            plan.group(self.journal.trials(index), self.journal.lost(index)) for index, plan in enumerate(self.plans)
        ]

    def _trial(self, index: int, number: int, seconds: float, names: list[str], label: str, *, confirms: bool) -> None:
        if self.journal.has(index, number) or index in self.refused:
            return
        plan, died = self.plans[index], self.died[index]
        while True:
            alive = [name for name in names if name not in died]
            progress = Progress(plan, job_of(plan, number, seconds, alive), label)
            try:
                for event in self._run(progress.job, self.timeout):
                    progress.take(event)
                    self.watch(progress)
            except ChildError as error:
                if error.called is None or error.called == plan.yardstick or error.called not in alive:
                    self.journal.add_lost(index, number, f"trial {number + 1}: {error.reason}")
                    return
                died[error.called] = error.reason
                self.journal.add_died(index, error.called, error.reason)
                continue
            except UsageError as error:
                if not self.keep_going:
                    raise
                self.refused.add(index)
                self.journal.add_lost(index, number, str(error))
                return
            self.journal.add_trial(
                index, _record(progress, number, [name for name in names if name in died], died, confirms)
            )
            return


def _record(progress: Progress, number: int, missing: list[str], died: dict[str, str], confirms: bool) -> Trial:
    assert progress.prepared is not None  # every trial that ends well has said so
    variants = [_variant(progress, variant.name) for variant in progress.job.variants]
    variants += [VariantTrial(name=name, not_measured=died[name]) for name in missing]
    return Trial(
        number=number,
        confirms=confirms,
        seed=progress.job.seed,
        batch=progress.prepared.batch,
        grids=progress.prepared.grids,
        variants=tuple(variants),
        order=_order(progress, variants),
        throttled_rounds=tuple(one.number for one in progress.rounds if one.throttled),
    )


def _order(progress: Progress, variants: Sequence[VariantTrial]) -> dict[State, tuple[tuple[int, ...], ...]]:
    """Who was called when, of those that have times; further instances of the first come after all variants."""
    found: dict[State, tuple[tuple[int, ...], ...]] = {}
    for state in progress.job.states:
        places = {variant.name: place for place, variant in enumerate(variants) if state in variant.timings}
        rounds = [one.order for one in progress.rounds if one.state == state]
        instances = [name for one in progress.rounds[:1] for name in one.instances if name not in places]
        places |= {name: len(variants) + number for number, name in enumerate(instances)}
        if len(places) > 1 and all(rounds) and variants[0].timings:
            found[state] = tuple(tuple(places[name] for name in order if name in places) for order in rounds)
    return found


def _variant(progress: Progress, name: str) -> VariantTrial:
    checked, stages = progress.checked[name], progress.stages.get(name)
    accuracy = checked.accuracy
    if name in progress.struck:
        accuracy = accuracy.model_copy(update={"passed": False, "reason": progress.struck[name]})
    timings = _timings(progress, name) if accuracy.passed else {}
    return VariantTrial(
        name=name,
        accuracy=accuracy,
        counts=checked.counts,
        stages=stages.seconds if stages else {},
        busy_seconds=stages.busy_seconds if stages else None,
        first_seconds=checked.first_seconds,
        timings=timings,
        not_measured=None if timings else accuracy.reason or "no time was given to measure",
    )


def _timings(progress: Progress, name: str) -> dict[State, Timing]:
    timings: dict[State, Timing] = {}
    for state in progress.job.states:
        rounds = [one for one in progress.rounds if one.state == state and name in one.seconds]
        if not rounds:
            continue
        looked_up = [one.looked_up[name] for one in rounds if name in one.looked_up]
        hits, total = sum(hits for hits, _ in looked_up), sum(map(sum, looked_up))
        timings[state] = Timing(
            seconds=tuple(one.seconds[name] for one in rounds),
            calls=tuple(tuple(one.instances.values()) for one in rounds if name in one.instances),
            host_seconds=tuple(one.host_seconds[name] for one in rounds if name in one.host_seconds),
            hit_rate=hits / total if total else None,
        )
    return timings
