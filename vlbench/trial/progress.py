"""What a trial has shown so far, and the record that becomes of it, however it ended."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from vlbench.matrix.plan import Plan
from vlbench.record.base import share_of
from vlbench.record.schema import Load, State, Timing, Trial, VariantTrial
from vlbench.stats.paired import fewest_rounds
from vlbench.trial.identity import new_id
from vlbench.trial.job import (
    Checked,
    Estimated,
    Event,
    FedIn,
    FirstKernel,
    Job,
    Loaded,
    Prepared,
    Round,
    Stages,
    Struck,
)


@dataclass
class Progress:
    """What the running trial has shown so far."""

    plan: Plan
    job: Job
    trial: str
    """Which one it is, in words; empty where there is only one."""
    fed: str = ""
    """What is fed in, in words; empty until that is there."""
    prepared: Prepared | None = None
    checked: dict[str, Checked] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)
    first_kernels: dict[str, float] = field(default_factory=dict)
    struck: dict[str, str] = field(default_factory=dict)
    stages: dict[str, list[Stages]] = field(default_factory=dict)
    estimate: Estimated | None = None
    load: Load | None = None
    cut: str = ""
    """What was going on when the time was over, where that had taken long."""
    told: str = ""
    """The estimate in words, where it is to be told."""
    needs: float = 0.0
    """Seconds that all of its rows take, at most, where that can be told."""

    @property
    def is_worth_keeping(self) -> bool:
        """Is there anything to compare a row with?"""
        return self.plan.reference in self.checked

    @property
    def can_be_timed(self) -> bool:
        """Is the reference tower right?"""
        return self.checked[self.plan.reference].accuracy.passed

    @property
    def has_rounds(self) -> bool:
        """Are there enough of them to end with?"""
        return len(self.rounds) >= fewest_rounds(self.job.confidence) * len(self.job.states)

    def take(self, event: Event) -> None:
        """Note what the trial said."""
        match event:
            case FedIn():
                self.fed = event.batch
            case Prepared():
                self.prepared = event
            case Checked():
                self.checked[event.variant] = event
            case Round():
                self.rounds.append(event)
            case FirstKernel():
                self.first_kernels[event.variant] = event.seconds
            case Struck():
                self.struck[event.variant] = event.reason
            case Stages():
                self.stages.setdefault(event.variant, []).append(event)
            case Estimated():
                self.estimate = event
            case Loaded():
                self.load = event.load


def record(
    progress: Progress, number: int, names: Sequence[str], died: dict[str, str], confirms: bool, why: str
) -> Trial:
    """What came, with those last that died, and that were left for want of time."""
    assert progress.prepared is not None  # the reference tower was checked
    why = "; ".join(filter(None, (why, progress.cut)))
    variants = [_variant(progress, name, why) for name in names if name not in died]
    variants += [VariantTrial(name=name, not_measured=died[name]) for name in names if name in died]
    variants.sort(key=lambda each: each.left)
    return Trial(
        id=new_id(progress.plan, number),
        number=number,
        confirms=confirms,
        seed=progress.job.seed,
        batch=progress.prepared.batch,
        fed_digest=progress.prepared.fed_digest,
        weights_digest=progress.prepared.weights_digest,
        grids=progress.prepared.grids,
        variants=tuple(variants),
        order=_order(progress, variants),
        throttled_rounds=tuple(one.number for one in progress.rounds if one.throttled),
        throttled_by=dict(Counter(reason for one in progress.rounds for reason in one.throttled)),
        load=progress.load,
    ).with_checksum()


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


def _variant(progress: Progress, name: str, why: str) -> VariantTrial:
    if name not in progress.checked:
        return VariantTrial(name=name, not_measured=why, left=True)
    checked, stages = progress.checked[name], progress.stages.get(name, [])
    accuracy = checked.accuracy
    if name in progress.struck:
        accuracy = accuracy.model_copy(update={"passed": False, "reason": progress.struck[name]})
    timings = _timings(progress, name) if accuracy.passed else {}
    left = bool(accuracy.passed and progress.job.seconds and not timings and progress.can_be_timed)
    return VariantTrial(
        name=name,
        accuracy=accuracy,
        counts=checked.counts,
        stages={
            stage: tuple(max(0.0, one.seconds.get(stage, 0.0)) for one in stages)  # rounding below 0
            for stage in dict.fromkeys(stage for one in stages for stage in one.seconds)
        },
        busy_seconds=next((one.busy_seconds for one in stages if one.busy_seconds), None),
        first_seconds=checked.first_seconds,
        timings=timings,
        not_measured=None if timings else accuracy.reason or (why if left else "no time was given to measure"),
        left=left,
    )


def _timings(progress: Progress, name: str) -> dict[State, Timing]:
    timings: dict[State, Timing] = {}
    for state in progress.job.states:
        rounds = [one for one in progress.rounds if one.state == state and name in one.seconds]
        if not rounds:
            continue
        looked_up = [one.looked_up[name] for one in rounds if name in one.looked_up]
        look_ups = (sum(hits for hits, _ in looked_up), sum(misses for _, misses in looked_up))
        timings[state] = Timing(
            seconds=tuple(one.seconds[name] for one in rounds),
            calls=tuple(tuple(one.instances.values()) for one in rounds if name in one.instances),
            host_seconds=tuple(one.host_seconds[name] for one in rounds if name in one.host_seconds),
            plan_seconds=tuple(one.plan_seconds[name] for one in rounds if name in one.plan_seconds),
            queue_seconds=rounds[0].queue_seconds,
            first_kernel_seconds=progress.first_kernels.get(name) if state == "behind" else None,
            look_ups=look_ups if looked_up else None,
            hit_rate=share_of(*look_ups),
        )
    return timings
